import { expect, test } from '@jest/globals';
import type { JobId } from '../../src/jobs/job.js';
import { attachCommand, screenNameTail } from '../../src/jobs/screens.js';
import { fleetOf, plainRequest, runScript } from './script-support.js';

const request = { ...plainRequest, screen: true };

test('a job in screen has a terminal with colours, a complete log, and its own exit code', () => {
  const body =
    'test -t 0 && test -t 1 && test -t 2 && echo tty; tput setaf 1; seq 20000; echo err >&2; exit 7';
  const { status, stdout } = runScript({ request }, body);
  const numbers = Array.from({ length: 20000 }, (_, i) => `${i + 1}\r\n`).join('');
  expect(stdout).toBe(`tty\r\n\x1b[31m${numbers}err\r\n`);
  expect(status).toBe(7);
});

test('the session is named after GPUs, mode and job; the arguments stay unchanged', () => {
  const args = ['--mode', 'train/é $(id)', `'"\n\\`, '--cuda', '0'];
  const parts = { request: { ...request, gpus: 1, args }, fleet: fleetOf(2) };
  const { stdout, status } = runScript(parts, 'printf "<%s>" "${STY#*.}" {{args}}', {
    SLURM_JOB_GPUS: '1',
  });
  const given = [...args.slice(0, -1), '1'].map((word) => `<${word.replace('\n', '\r\n')}>`);
  expect(stdout).toBe(`<gpujob_1_train-----id-_7>${given.join('')}`);
  expect(status).toBe(0);
});

test('a job without GPUs has cpu in its session’s name', () => {
  expect(runScript({ request }, 'echo "${STY#*.}"').stdout).toBe('gpujob_cpu_test_7\r\n');
});

test('without GNU screen the job ends before its command', () => {
  const env = { PATH: '/nowhere' };
  const { status, stdout } = runScript({ request: { ...request, env } }, 'echo ran');
  expect(status).toBe(2);
  expect(stdout).toMatch(/^jobrunner: screen: GNU screen is not in PATH \(\/nowhere\).*\n$/);
});

test('a session that is quit from inside ends its job as failed, with the reason', () => {
  const { status, stdout } = runScript({ request }, 'screen -X quit; sleep 60');
  expect(status).toBe(1);
  expect(stdout).toMatch(/^jobrunner: screen: the session ended without its command/m);
});

test('a folder that is too deep for a socket ends the job before its command', () => {
  const screenDir = `/tmp/${'x'.repeat(90)}`;
  const { status, stdout } = runScript({ request, screenDir }, 'echo ran');
  expect(status).toBe(2);
  expect(stdout).toContain('is too long for a socket; use a shorter JR_ROOT');
});

test('the mode in a name is the last --mode, or the command key', () => {
  const tail = (...args: string[]) => screenNameTail({ ...request, args }, 3 as JobId);
  expect(tail('--mode=a', '--mode', 'b_c.d')).toBe('_b_c.d_3');
  expect(tail('--mode')).toBe('_test_3');
  expect(tail('--mode=')).toBe('_test_3');
});

test('only our own sessions can be attached to', () => {
  const attach = (name: string, user: string) =>
    attachCommand('/s', { name, unix_user: user }, 'xterm').join(' ');
  expect(attach('gpujob_0,1_train_7', 'jr-job3')).toMatch(
    /^sudo -u jr-job3 env SCREENDIR=\/s\/jr-job3 .*screen -x gpujob_0,1_train_7/,
  );
  for (const [name, user] of [
    ['gpujob_0;id', 'runner'],
    ['gpujob_0_train_7', 'root'],
    ['gpujob_0_train_7', '../runner'],
  ] as const)
    expect(() => attach(name, user)).toThrow('not a session of ours');
});
