import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { readJobUsers, type UnixUser } from '../../src/config/unix-users.js';
import { until } from '../until.js';

// The script of the epilog with real Unix users, but without Slurm.

/** The last user, who has no job of another test. */
const unixUser = [...readJobUsers().values()].findLast(({ name }) => name !== 'runner') as UnixUser;
let folder: string;
let daemons: ChildProcess[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-after-job-'));
  chmodSync(folder, 0o711);
  for (const name of ['results', 'screens']) mkdirSync(join(folder, name));
  chownSync(join(folder, 'results'), unixUser.uid, unixUser.gid);
  daemons = [];
});
afterEach(async () => {
  for (const daemon of daemons) {
    daemon.stdin?.end();
    if (daemon.exitCode === null) await once(daemon, 'exit');
  }
  rmSync(folder, { recursive: true, force: true });
});

const afterJob = () =>
  execa('perl', [
    'slurm/after-job.pl',
    ...[unixUser.name, unixUser.name, join(folder, 'results'), '1'],
    ...['/no/slurm.conf', join(folder, 'screens')],
  ]);

const asUser = (command: string) => [
  ...['setpriv', `--reuid=${unixUser.uid}`, `--regid=${unixUser.gid}`, '--clear-groups'],
  ...['bash', '-c', command],
];

const isAlive = (pid: number) =>
  existsSync(`/proc/${pid}/status`) &&
  !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));

/** Starts a process that outlives its parent, without an environment. @returns its number */
async function leaveBehind(how = 'sleep 1000'): Promise<number> {
  const [command = '', ...args] = asUser(
    `setsid env -i PATH=/usr/bin:/bin ${how} </dev/null >/dev/null 2>&1 & echo $!`,
  );
  const { stdout } = await execa(command, args);
  const pid = Number(stdout);
  await until('the process has cleared its environment', () =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(how.split(' ')[0] ?? ''),
  );
  return pid;
}

/** Starts what a running job looks like: its script below a process of Slurm's. */
async function startJob(): Promise<void> {
  const program = join(folder, 'slurmstepd');
  copyFileSync('/bin/bash', program);
  const script = asUser('echo up; read -r').map((word) => `'${word}'`);
  const job = spawn(program, ['-c', `${script.join(' ')}; true`], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  daemons.push(job);
  if (job.stdout) await once(job.stdout, 'data');
}

/** Makes files and folders of the user in folders that all share. @returns their paths */
async function leaveFiles(): Promise<string[]> {
  const paths = ['/tmp', '/var/tmp', '/dev/shm'].map(
    (shared) => `${shared}/jr-left-${process.pid}`,
  );
  const make = `mkdir $path $path/closed && ln -s ${folder} $path/link && echo >$path/closed/file && chmod 0 $path/closed`;
  const [command = '', ...args] = asUser(`for path in ${paths.join(' ')}; do ${make}; done`);
  await execa(command, args);
  return paths;
}

test('a process that hid from Slurm ends with the last job of its user', async () => {
  // The kernel hides a process whose program its user may not read, as one that is not dumpable.
  const hidden = join(folder, 'hidden');
  copyFileSync('/bin/sleep', hidden);
  chmodSync(hidden, 0o711);
  const pids = [await leaveBehind(), await leaveBehind(`${hidden} 1000`)];
  await startJob();
  await afterJob();
  expect(pids.map(isAlive)).toEqual([true, true]);
  daemons[0]?.stdin?.end();
  await until('the job has ended', () => daemons[0]?.exitCode !== null);
  await afterJob();
  expect(pids.map(isAlive)).toEqual([false, false]);
});

test('files in shared folders go with the last job of their user, and links are not followed', async () => {
  const paths = await leaveFiles();
  const foreign = join(folder, 'foreign');
  writeFileSync(foreign, '');
  await startJob();
  await afterJob();
  expect(paths.map((path) => existsSync(path))).toEqual([true, true, true]);
  daemons[0]?.stdin?.end();
  await until('the job has ended', () => daemons[0]?.exitCode !== null);
  await afterJob();
  expect(paths.map((path) => existsSync(path))).toEqual([false, false, false]);
  expect(existsSync(foreign)).toBe(true);
});

test('what root started for the user outside of Slurm goes on', async () => {
  const [command = '', ...args] = asUser('echo up; read -r');
  const shell = spawn(
    'bash',
    ['-c', `${[command, ...args].map((w) => `'${w}'`).join(' ')}; true`],
    {
      stdio: ['pipe', 'pipe', 'ignore'],
    },
  );
  daemons.push(shell);
  if (shell.stdout) await once(shell.stdout, 'data');
  await afterJob();
  expect(shell.exitCode).toBeNull();
  shell.stdin?.end('\n');
  expect(await once(shell, 'exit')).toEqual([0, null]);
});

test('shared memory of the user goes with the last job', async () => {
  const [command = '', ...args] = asUser(
    'ipcmk --shmem 4096 && ipcmk --semaphore 1 && ipcmk --queue',
  );
  const ids = [...(await execa(command, args)).stdout.matchAll(/\d+/g)].map(([id]) => id);
  expect(ids).toHaveLength(3);
  await afterJob();
  const left = ['shm', 'sem', 'msg'].map((kind, i) =>
    readFileSync(`/proc/sysvipc/${kind}`, 'utf8')
      .split('\n')
      .some((line) => line.trim().split(/\s+/)[1] === ids[i]),
  );
  expect(left).toEqual([false, false, false]);
});
