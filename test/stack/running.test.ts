import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { layoutOf } from '../../src/config/layout.js';
import { attachCommand } from '../../src/jobs/screens.js';
import { makeCondaLike } from '../conda-like.js';
import { LiveStack } from './live-stack.js';
import { refusal } from '../refusal.js';
import { until } from '../until.js';

interface ScreenReply {
  screens: { job_id: number; name: string | null; state: string; gpus: number[] }[];
}

let stack: LiveStack;
let folder: string;
let screensDir: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'jr-running-'));
  chmodSync(folder, 0o755);
  stack = await LiveStack.start({ JR_SIMULATE_GPUS: '3' });
  screensDir = layoutOf(stack.root).screens;
});
afterAll(async () => {
  await stack.remove();
  rmSync(folder, { recursive: true });
});

const screens = async () => (await stack.call<ScreenReply>('GET', '/screens')).json.screens;

/** Returns the output of `screen -ls` for the jobs' user. */
function screenList(): string {
  const as = [
    '--reuid=runner',
    '--regid=jr-owner',
    '--init-groups',
    'env',
    `SCREENDIR=${screensDir}/runner`,
  ];
  return execFileSync('setpriv', [...as, 'sh', '-c', 'screen -ls || true']).toString();
}

/** Lists processes with that word in their environment, as `pid command line`. */
function processesWith(word: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(word)) return [];
      return [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'latin1')}`];
    } catch {
      // It ended during the check.
      return [];
    }
  });
}

async function noneLeft(mark: string): Promise<void> {
  await until('all its processes have ended', (saw) => {
    const left = processesWith(mark);
    saw(left);
    return left.length === 0;
  });
}

/** Waits until screen(1) lists this part. */
async function untilScreens(part: string): Promise<void> {
  await until(`screen lists ${part}`, (saw) => {
    const list = screenList();
    saw(list);
    return list.includes(part);
  });
}

async function submit(command: string, fields: Record<string, unknown> = {}): Promise<number> {
  const { status, text, json } = await stack.submit({
    command_key: 'shell',
    command,
    mem_gb: 0.2,
    ...fields,
  });
  if (status !== 201) throw new Error(`not accepted: ${status} ${text}`);
  return json.job_id;
}

const logOf = async (id: number) => (await stack.call('GET', `/jobs/${id}/log`)).text;

test('--cuda becomes the job’s GPUs, for whole GPUs and for shares', async () => {
  const print = 'echo "$@" "| $CUDA_VISIBLE_DEVICES"';
  const [share, whole, none] = await Promise.all([
    stack.shell(print, { gpus: 0.5, allowed_gpus: '2', args: ['--cuda', '0', '--x'] }),
    stack.shell(print, { gpus: 2, allowed_gpus: '0-1', cuda: 'add', args: ['a'] }),
    stack.shell(print, { args: ['--cuda', '0'], cuda: 'add' }),
  ]);
  expect(share.log).toBe('--cuda 2 --x | 0,1,2\n');
  expect(whole.log).toBe('a --cuda 0,1 | 0,1,2\n');
  expect(none.log).toBe('--cuda 0 | \n');
});

test('a job runs in its conda environment; a missing one counts as the user’s mistake and ends the job before its command', async () => {
  const root = join(folder, 'conda');
  const env = { CONDA_EXE: makeCondaLike(root, 'conda', ['ml']) };
  const found = await stack.shell('type -P python', { conda_env: 'ml', env });
  expect(found.log).toBe(`${root}/envs/ml/bin/python\n`);

  const missing = await stack.shell('echo ran', { conda_env: 'nope', env });
  expect(missing).toMatchObject({ status: 'FAILED', exit_code: 2, failure: 'user_code' });
  expect(missing.log).toMatch(/^jobrunner: conda_env: .*\bnope\b/m);
  expect(missing.log).not.toContain('ran');
});

test('a job runs in its virtual environment, also in screen', async () => {
  const venv = join(folder, 'venv');
  execFileSync('/usr/bin/python3', ['-m', 'venv', '--without-pip', venv]);
  const command = 'python -c "import sys; print(sys.prefix)"';
  const jobs = await Promise.all([
    stack.shell(command, { venv }),
    stack.shell(command, { venv, screen: true }),
  ]);
  expect(jobs.map(({ log }) => log)).toEqual([`${venv}\n`, `${venv}\r\n`]);
});

test('impossible combinations are refused', async () => {
  const wrong = async (fields: Record<string, unknown>) => {
    const { status, json } = await stack.submit({ command_key: 'shell', command: ':', ...fields });
    return [status, json.error];
  };
  const error = (field: string) => refusal('bad_request', field);
  expect(await wrong({ conda_env: 'a', venv: '/b' })).toEqual([400, error('conda_env')]);
  for (const conda_env of ['', '-p', 'a/b', 'a;id', '$(id)', '../x', 'a b'])
    expect(await wrong({ conda_env })).toEqual([400, error('conda_env')]);
  for (const venv of ['', 'relative', '/a\nb'])
    expect(await wrong({ venv })).toEqual([400, error('venv')]);
  expect(await wrong({ cuda: 'no' })).toEqual([400, error('cuda')]);
  expect(await wrong({ screen: 'perhaps' })).toEqual([400, error('screen')]);
});

test('two jobs in screen are listed by name, have terminals and keep their exit codes', async () => {
  const command =
    'test -t 1 && tput setaf 1 && echo "$CUDA_VISIBLE_DEVICES"; until [ -e go ]; do sleep 0.1; done; exit 7';
  const fields = { screen: true, gpus: 1, args: ['--mode', 'train'] };
  const ids: number[] = [];
  // One after the other, since the list is sorted by number.
  for (const gpu of ['0', '2']) ids.push(await submit(command, { ...fields, allowed_gpus: gpu }));
  const names = [`gpujob_0_train_${ids[0]}`, `gpujob_2_train_${ids[1]}`];
  const named = await until('all screens have names', async () => {
    const list = await screens();
    return list.every(({ name }) => name !== null) && list;
  });
  expect(named).toEqual([
    { job_id: ids[0], unix_user: 'runner', name: names[0], state: 'RUNNING', gpus: [0] },
    { job_id: ids[1], unix_user: 'runner', name: names[1], state: 'RUNNING', gpus: [2] },
  ]);
  // The log arrives while they run.
  for (const [i, id] of ids.entries()) {
    await stack.says(id, '\n');
    expect(await logOf(id)).toBe(`\x1b[31m${i === 0 ? 0 : 2}\r\n`);
  }
  for (const name of names)
    expect(screenList()).toMatch(new RegExp(`\\.${name}\\s.*\\(Detached\\)`));

  for (const id of ids)
    execFileSync('setpriv', [
      '--reuid=runner',
      '--regid=jr-owner',
      '--init-groups',
      'touch',
      join(layoutOf(stack.root).results, String(id), 'go'),
    ]);
  for (const id of ids)
    expect(await stack.finish(id)).toMatchObject({
      status: 'FAILED',
      exit_code: 7,
      failure: 'user_code',
    });
  expect(await screens()).toEqual([]);
  expect(screenList()).toContain('No Sockets found');
});

test('input in an attached session reaches the job', async () => {
  const id = await submit('read -r line; echo "got $line"', { screen: true });
  const name = `gpujob_cpu_shell_${id}`;
  await untilScreens(name);
  const [program = '', ...args] = attachCommand(screensDir, { name, unix_user: 'runner' }, 'xterm');
  // `script` stands in for a person's terminal.
  const line = [program, ...args].map((word) => `'${word}'`).join(' ');
  const person = spawn('script', ['-qec', line, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let shown = '';
  person.stdout.on('data', (data: Buffer) => (shown += data.toString()));
  await untilScreens('(Attached)');
  const exited = once(person, 'close');
  person.stdin.write('hello\r');
  const ended = await stack.finish(id);
  await exited;
  expect(ended).toMatchObject({ status: 'COMPLETED', exit_code: 0 });
  expect(ended.log).toBe('hello\r\ngot hello\r\n');
  expect(shown).toContain('hello');
});

test('cancelling ends the whole session, after its command has finished', async () => {
  const id = await submit(
    "trap 'echo winding up; sleep 0.5; echo wound up; exit' TERM; setsid sleep 600 & echo started; while :; do sleep 0.1; done",
    { screen: true },
  );
  await stack.says(id, 'started');
  const mark = `JR_OUTPUT_DIR=${layoutOf(stack.root).results}/${id}\0`;
  expect(processesWith(mark).some((line) => /screen/i.test(line))).toBe(true);
  await stack.call('POST', `/jobs/${id}/cancel`);
  const ended = await stack.finish(id);
  expect(ended).toMatchObject({ status: 'CANCELLED', failure: 'cancelled' });
  await noneLeft(mark);
  expect(await logOf(id)).toContain('winding up\r\nwound up\r\n');
  expect(screenList()).toContain('No Sockets found');
});

test('a job in screen keeps to its memory limit', async () => {
  const ended = await stack.shell('x=$(head -c 600M /dev/zero | tr "\\0" x); sleep 60', {
    screen: true,
    mem_gb: 0.1,
  });
  expect(ended).toMatchObject({
    status: expect.stringMatching(/FAILED|OUT_OF_MEMORY/),
    failure: 'out_of_memory',
  });
});

test('a session that does not end at SIGTERM is killed, and its socket goes with it', async () => {
  const id = await submit("trap '' TERM HUP; echo started; while :; do sleep 0.1; done", {
    screen: true,
  });
  await stack.says(id, 'started');
  const mark = `JR_OUTPUT_DIR=${layoutOf(stack.root).results}/${id}\0`;
  await stack.call('POST', `/jobs/${id}/cancel`);
  expect(await stack.finish(id)).toMatchObject({ status: 'CANCELLED' });
  await noneLeft(mark);
  await untilScreens('No Sockets');
});
