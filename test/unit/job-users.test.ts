import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openDatabase, type Database } from '../../src/db/database.js';
import { JobUsers } from '../../src/jobs/job-users.js';
import { MAX_JOB_USERS, unixUserName, type UnixUser } from '../../src/config/unix-users.js';

let db: Database;

beforeEach(() => {
  db = openDatabase(':memory:');
});
afterEach(() => {
  db.close();
});

const names = (count: number) => [
  'runner',
  ...Array.from({ length: count }, (_, i) => unixUserName(i + 1)),
];
const usersOf = (count: number) =>
  new JobUsers(
    db,
    new Map(
      names(count).map((name): [string, UnixUser] => [name, { name, uid: 0, gid: 0, home: '/' }]),
    ),
  );
const give = (number: number) =>
  db.prepare('INSERT INTO job_users VALUES (?, ?)').run(`user-${number}`, number);

test('when all are in use, the remedy is a setting with room for a hundred more', () => {
  give(100);
  expect(() => usersOf(100).of('alice')).toThrow(
    'other users have all 100 Unix users that jobs run as: restart JobRunner and its workers with JR_JOB_USERS=200',
  );
  give(950);
  expect(() => usersOf(950).of('alice')).toThrow(/=999$/);
  expect(usersOf(999).of('alice').name).toBe('jr-job951');
});

test('at the maximum there is no such remedy', () => {
  give(MAX_JOB_USERS);
  expect(() => usersOf(MAX_JOB_USERS).of('alice')).toThrow(/: there can be no more than 999$/);
});

test('a user keeps the same Unix user, and gets a remedy if it no longer exists', () => {
  give(100);
  expect(usersOf(101).of('alice').name).toBe('jr-job101');
  expect(usersOf(300).of('alice').name).toBe('jr-job101');
  expect(() => usersOf(100).of('alice')).toThrow(
    /Unix user jr-job101 does not exist: .*JR_JOB_USERS as large as before$/,
  );
  expect(usersOf(100).of('admin').name).toBe('runner');
});
