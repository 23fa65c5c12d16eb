import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Authenticator } from '../../src/auth/authenticator.js';
import { KnownSenders } from '../../src/auth/known-senders.js';
import { Tokens } from '../../src/auth/tokens.js';
import { openDatabase, type Database } from '../../src/db/database.js';
import type { AppError } from '../../src/errors.js';

/** A token that somebody chose. */
const owners = 'the-owner-s-own';

let folder: string;
let db: Database;
let tokens: Tokens;
let now: number;
let authenticator: Authenticator;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-authenticator-'));
  db = openDatabase(join(folder, 'db'));
  now = Date.now();
  start();
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

/** Starts the service, again over the same database. */
function start(): void {
  const log = pino({ level: 'silent' });
  tokens = new Tokens({ db, authToken: owners, log, now: () => now });
  authenticator = new Authenticator(tokens, new KnownSenders({ db, log, now: () => now }));
}

const from = (name: string) => ({
  ...{ isOwner: false, isLocal: false },
  name: () => Promise.resolve(name),
});

async function codeOf(token: string | undefined, sender = from('192.0.2.1')): Promise<string> {
  return authenticator.check(token, sender).then(
    () => 'good',
    (error: unknown) => (error as AppError).code,
  );
}

const guesses = (count: number) => Array.from({ length: count }, (_, i) => `guess-${i}`);

/**
 * Counts the simultaneous requests whose token was checked, and the others.
 */
async function attempts(given: string[]): Promise<{ unauthorized: number; tooMany: number }> {
  const codes = await Promise.all(given.map((token) => codeOf(token)));
  const count = (code: string) => codes.filter((one) => one === code).length;
  return { unauthorized: count('unauthorized'), tooMany: count('too_many_attempts') };
}

test('no more wrong tokens are checked at once than one after another', async () => {
  expect(await attempts(guesses(500))).toEqual({ unauthorized: 10, tooMany: 490 });
});

test('a repeated wrong token counts once for others at the same address', async () => {
  expect(await attempts(Array<string>(12).fill('a-dead-token'))).toEqual({
    unauthorized: 10,
    tooMany: 2,
  });
  expect(await codeOf(owners)).toBe('good');
  expect(await attempts(guesses(20))).toEqual({ unauthorized: 9, tooMany: 11 });
});

test('wrong tokens block no token that was valid from there, even before a restart', async () => {
  expect(await codeOf(owners)).toBe('good');
  start();
  expect(await attempts(guesses(20))).toEqual({ unauthorized: 10, tooMany: 10 });
  expect(await codeOf(owners)).toBe('good');
  // Elsewhere it may be a guess.
  for (const guess of guesses(20)) await codeOf(guess, from('192.0.2.2'));
  expect(await codeOf(owners, from('192.0.2.2'))).toBe('too_many_attempts');
});

test('wrong tokens block no token that is too long to be guessed', async () => {
  const { token } = tokens.create({ user: 'eve', role: 'user', days: 1, createdBy: 'admin' });
  await attempts(guesses(20));
  expect(await codeOf(token)).toBe('good');
  const dead = tokens.create({ user: 'eve', role: 'user', days: 1, createdBy: 'admin' });
  tokens.revoke(dead.view.token_id);
  expect(await codeOf(dead.token)).toBe('too_many_attempts');
});

test('a request without a token needs the owner’s socket', async () => {
  expect(await codeOf(undefined)).toBe('unauthorized');
  const overSocket = { isOwner: true, isLocal: false, name: () => Promise.resolve('the socket') };
  expect(await authenticator.check(undefined, overSocket)).toMatchObject({ role: 'admin' });
  expect(await codeOf('wrong-token', overSocket)).toBe('unauthorized');
});

test('the list of known senders drops the oldest of the same user only', async () => {
  const choose = (user: string, token: string) =>
    tokens.create({ user, role: 'user', token, days: 1, createdBy: 'admin' });
  choose('eve', 'eves-own-token');
  choose('mallory', 'mallorys-token');
  expect(await codeOf('eves-own-token', from('0'))).toBe('good');
  for (let i = 0; i < 250; i++) await codeOf('mallorys-token', from(`${i}`));
  start();
  for (const name of ['0', '249']) for (const guess of guesses(10)) await codeOf(guess, from(name));
  const codes = [codeOf('eves-own-token', from('0')), codeOf('mallorys-token', from('0'))];
  expect(await Promise.all(codes)).toEqual(['good', 'too_many_attempts']);
  expect(await codeOf('mallorys-token', from('249'))).toBe('good');
});

test('a revoked token counts as wrong, even if it was valid from there', async () => {
  const wish = { user: 'eve', role: 'user', days: 1, createdBy: 'admin' } as const;
  const { token, view } = tokens.create({ ...wish, token: 'eves-own-token' });
  expect(await authenticator.check(token, from('192.0.2.1'))).toMatchObject({ user: 'eve' });
  tokens.revoke(view.token_id);
  expect(await attempts(Array<string>(5).fill(token))).toEqual({ unauthorized: 5, tooMany: 0 });
  expect(await attempts(Array<string>(20).fill(token))).toEqual({ unauthorized: 5, tooMany: 15 });
});

test('a revoked or expired token is noticed during the request', async () => {
  const one = tokens.create({ user: 'eve', role: 'user', days: 1, createdBy: 'admin' });
  const other = tokens.create({ user: 'eve', role: 'user', days: 2, createdBy: 'admin' });
  const caller = await authenticator.check(one.token, from('192.0.2.1'));
  const second = await authenticator.check(other.token, from('192.0.2.1'));
  expect([caller, second].map((who) => authenticator.stillHolds(who))).toEqual([true, true]);
  now += 25 * 60 * 60 * 1000;
  expect([caller, second].map((who) => authenticator.stillHolds(who))).toEqual([false, true]);
  tokens.revoke(other.view.token_id);
  expect(authenticator.stillHolds(second)).toBe(false);
});

test('too many wrong tokens, and too many attempts with one, are told apart', async () => {
  await attempts(Array<string>(10).fill('a-dead-token'));
  await expect(authenticator.check('a-dead-token', from('192.0.2.1'))).rejects.toThrow(
    /^too many attempts with this wrong token: try again in \d+ s$/,
  );
  await attempts(guesses(10));
  await expect(authenticator.check('another', from('192.0.2.1'))).rejects.toThrow(
    /^too many wrong tokens from this address: try again in \d+ s$/,
  );
});

describe('senders on this machine', () => {
  const asked: string[] = [];
  const here = (user: string) => ({
    ...{ isOwner: false, isLocal: true },
    name: () => {
      asked.push(user);
      return Promise.resolve(user);
    },
  });
  beforeEach(() => {
    asked.length = 0;
  });

  test('are told apart only after a wrong token, since that takes time', async () => {
    expect(await codeOf(owners, here('root'))).toBe('good');
    expect(asked).toEqual([]);
    for (const guess of guesses(11)) await codeOf(guess, here('job'));
    expect(await codeOf(owners, here('root'))).toBe('good');
    expect(asked).toEqual([...Array<string>(11).fill('job'), 'root']);
    expect(await codeOf(owners, here('job'))).toBe('too_many_attempts');
  });

  test('guess no more tokens at once than one after another', async () => {
    const all = [...guesses(20), owners].map((token) => codeOf(token, here('job')));
    const codes = await Promise.all(all);
    expect(codes.filter((code) => code === 'unauthorized')).toHaveLength(10);
    expect(codes.at(-1)).toBe('too_many_attempts');
  });
});
