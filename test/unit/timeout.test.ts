import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { judge } from '../../src/jobs/failure.js';
import { defaultTimeLimit } from '../../src/jobs/placement/limits.js';
import { TIMED_OUT, timedOutLine } from '../../src/jobs/script/timeout.js';
import type { SlurmJob } from '../../src/cluster/slurm/job-record.js';
import { until } from '../until.js';
import { plainRequest, runScript } from './script-support.js';

const run = (body: string, timeout: number, more = {}) =>
  runScript({ request: { ...plainRequest, timeout, ...more } }, body);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-clock-'));
  const wait = 'until [ -e ready ]; do /bin/sleep 0.01; done';
  const clock = `#!/bin/sh\n[ "$1" != ${short} ] || ${wait}\nexec /bin/sleep "$@"\n`;
  writeFileSync(join(folder, 'sleep'), clock, { mode: 0o755 });
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const short = 0.2;
/** Its time starts only once it has made the file `ready`. */
const runShort = (body: string, more = {}) =>
  run(body, short, { env: { PATH: `${folder}:/usr/bin:/bin` }, ...more });

/** Waits until the process has ended: SIGKILL takes a moment. A zombie has ended, too. */
async function untilGone(pid: string): Promise<void> {
  const stat = `/proc/${pid}/stat`;
  await until(
    `process ${pid} has ended`,
    () => !existsSync(stat) || / Z /.test(readFileSync(stat, 'utf8')),
  );
}

test('a command that ends within its timeout ends as without a timeout', () => {
  expect(run('echo out; echo err >&2; exit 9', 60)).toEqual({
    status: 9,
    stdout: 'out\nerr\n',
    stderr: '',
  });
  expect(run('exit 200', 60).status).toBe(200);
  expect(run('true', 60).status).toBe(0);
  expect(run('kill -KILL $BASHPID', 60)).toEqual({ status: 137, stdout: '', stderr: '' });
});

test('a command that exceeds it is ended, with all its processes, and the log says so', async () => {
  const body =
    'sleep 100 & trap "echo had its warning; exit 5" TERM; echo $!; >ready; wait; echo not this';
  const { status, stdout } = runShort(body);
  const [child = '', ...rest] = stdout.trim().split('\n');
  expect({ status, rest }).toEqual({
    status: TIMED_OUT,
    rest: ['had its warning', timedOutLine(short)],
  });
  await untilGone(child);
});

test('a command that ignores SIGTERM is killed', async () => {
  const { status, stdout } = runShort('trap "" TERM; echo $BASHPID; >ready; sleep 100; sleep 100');
  const [pid = '', ...rest] = stdout.trim().split('\n');
  expect({ status, rest }).toEqual({ status: TIMED_OUT, rest: [timedOutLine(short)] });
  await untilGone(pid);
});

test('a cancelled job’s command may finish first', () => {
  const body =
    'trap "sleep 0.5; echo wound up; exit 5" TERM; kill -TERM $$; kill -TERM $BASHPID; wait';
  expect(run(body, 60)).toMatchObject({ status: 143, stdout: 'wound up\n' });
});

test('the functions and variables of an activated environment exist', () => {
  expect(run('jr_test=1; f() { echo "f $jr_test"; }; f', 60).stdout).toBe('f 1\n');
});

test('standard error can be kept out of the log', () => {
  const split = { split_log: true };
  expect(run('echo out; echo err >&2', 60, split)).toMatchObject({
    stdout: 'out\n',
    stderr: 'err\n',
  });
  const over = runShort('echo out; >ready; sleep 100', split);
  expect(over).toMatchObject({ status: TIMED_OUT, stdout: 'out\n' });
  expect(over.stderr).toContain(timedOutLine(short));
});

test('a timeout is distinguished from a command with the same exit code', () => {
  const ended: SlurmJob = {
    slurmJobId: 1,
    state: 'FAILED',
    reason: null,
    exitCode: TIMED_OUT,
    signal: 0,
    submittedAt: 1,
    startedAt: 1,
    endedAt: 2,
    nodeList: 'box0',
    comment: '',
  };
  const log = `${timedOutLine(20)}\n`;
  expect(judge(ended, log, { timeout: 20 })).toEqual({
    failure: 'time_limit',
    message: 'ran into its timeout of 20 s and was ended; ask for a longer one',
  });
  expect(judge(ended, '', { timeout: 20 })?.failure).toBe('user_code');
  expect(judge(ended, log)?.failure).toBe('user_code');
  expect(judge({ ...ended, exitCode: 1 }, log, { timeout: 20 })?.failure).toBe('user_code');
});

test('Slurm’s own limit is above it, in whole minutes', () => {
  expect(defaultTimeLimit({ timeout: 20 }, { maxTime: '7-00:00:00' })).toBe('0-00:02:00');
  expect(defaultTimeLimit({ timeout: 60 }, { maxTime: '7-00:00:00' })).toBe('0-00:02:00');
  expect(defaultTimeLimit({ timeout: 60.5 }, { maxTime: '7-00:00:00' })).toBe('0-00:03:00');
  expect(defaultTimeLimit({ timeout: 60 }, { maxTime: '1' })).toBe('1');
  expect(defaultTimeLimit({ timeout: 60 }, { maxTime: 'UNLIMITED' }, true)).toBe('UNLIMITED');
  expect(defaultTimeLimit({}, { maxTime: '1:00' })).toBe('1:00');
});
