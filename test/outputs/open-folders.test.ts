import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readUnixUsers } from '../../src/config/unix-users.js';
import { JobFolders } from '../../src/jobs/job-folders.js';
import type { JobId } from '../../src/jobs/job.js';

const script = fileURLToPath(new URL('../../libexec/open-folders.pl', import.meta.url));

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'jr-open-'));
  chmodSync(root, 0o755);
});
afterEach(() => rmSync(root, { recursive: true }));

function idsOf(name: string): { uid: number; gid: number } {
  const user = readUnixUsers().get(name);
  if (user === undefined) throw new Error(`there is no user ${name}: run docker/make-users.sh`);
  return user;
}

/** Makes a folder of that user with that mode. */
function folder(path: string, user: string, mode: number): string {
  const full = join(root, path);
  mkdirSync(full);
  const { uid, gid } = idsOf(user);
  chownSync(full, uid, gid);
  chmodSync(full, mode);
  return full;
}

const modeOf = (path: string) => (lstatSync(path).mode & 0o7777).toString(8);
const open = (user: string, path = root) => spawnSync(script, [user, path], { encoding: 'utf8' });

test('folders that a job has closed are opened to its group, at every depth, and no others', () => {
  const closed = folder('closed', 'jr-job1', 0);
  const inside = folder('closed/inside', 'jr-job1', 0o500);
  const sticky = folder('sticky', 'jr-job1', 0o1777);
  const anothers = folder('anothers', 'jr-job2', 0o700);
  execFileSync('ln', ['-s', anothers, join(closed, 'link')]);
  expect(open('jr-job1')).toMatchObject({ status: 0, stdout: '3\n' });
  expect([closed, inside, sticky, anothers].map(modeOf)).toEqual(['770', '770', '777', '700']);
  expect(open('jr-job1')).toMatchObject({ status: 0, stdout: '0\n' });
});

test.each(['root', 'jobrunner', 'jr-job0', 'jr-job1\n', 'jr-job1234', ''])(
  'nothing is done as a user that no job runs as: %j',
  (user) => {
    const closed = folder('closed', 'jr-job1', 0);
    const { status, stdout } = open(user);
    expect([status === 0, stdout, modeOf(closed)]).toEqual([false, '', '0']);
  },
);

test('the removal of a job opens its folders again when another job has closed them', async () => {
  const { uid, gid } = idsOf('jobrunner');
  const paths = ['results', 'jobLogs', 'jobScripts', 'sshJobs'].map((name) =>
    folder(name, 'jobrunner', 0o755),
  );
  const [results = '', jobLogs = '', jobScripts = '', sshJobs = ''] = paths;
  folder('results/1', 'jobrunner', 0o755);
  const closed = folder('results/1/closed', 'jr-job1', 0);
  const asked: string[] = [];
  const folders = new JobFolders({ results, jobLogs, jobScripts, sshJobs }, (path) => {
    asked.push(path);
    // Stands for the script, whose first work another job undoes.
    if (asked.length === 2) {
      process.seteuid?.(0);
      chownSync(closed, uid, gid);
      chmodSync(closed, 0o700);
      process.seteuid?.(uid);
    }
    return Promise.resolve(asked.length <= 2);
  });
  // Root may remove everything, so act as the API's user.
  process.setegid?.(gid);
  process.seteuid?.(uid);
  try {
    await folders.remove(1 as JobId);
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
  expect(asked).toEqual([join(results, '1'), join(results, '1')]);
});
