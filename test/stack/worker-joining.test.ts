import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { freePorts } from '../free-ports.js';
import { LiveStack } from './live-stack.js';
import { joinToken, TestWorker } from './test-worker.js';
import { refusal } from '../refusal.js';
import { until } from '../until.js';

interface GpusReply {
  workers: { node: string; gpus: { state: string }[] }[];
}

let stack: LiveStack;
let worker: TestWorker;
let folder: string;
/** Connects to the join port and never ends a request. */
let stalled: TLSSocket;
beforeAll(async () => {
  const [port] = await freePorts(1);
  folder = mkdtempSync(join(tmpdir(), 'jr-joining-'));
  stack = await LiveStack.start({
    JR_JOIN_PORT: String(port),
    JR_WORKER_TIMEOUT: '60',
    JR_JOIN_TOKEN_FILE: join(folder, 'token'),
  });
  stalled = toJoinPort('POST /join HTTP/1.1\r\nHost: x\r\n');
  // It is reset in the end.
  stalled.on('error', () => undefined);
  worker = await TestWorker.start(stack, joinToken(stack));
  await worker.ready();
});
afterAll(async () => {
  stalled.destroy();
  await TestWorker.removeAll();
  await stack.remove();
  rmSync(folder, { recursive: true });
});

const onWorker = { partition: 'workers' };

/** Byte by byte, since an HTTP client would normalize the path. */
function toJoinPort(request: string): TLSSocket {
  const port = Number(stack.env['JR_JOIN_PORT']);
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  socket.write(request);
  return socket;
}

function slurm(command: string, ...args: string[]) {
  const env = { PATH: '/usr/bin:/bin', SLURM_CONF: join(stack.root, 'slurm/etc/slurm.conf') };
  return spawnSync(command, args, { env, encoding: 'utf8' });
}

/** Lists placeholders that have a GPU of a worker. */
function runningPlaceholders(): number {
  const args = ['--noheader', '--all', '--partition=hold-workers', '--states=RUNNING'];
  return slurm('squeue', ...args)
    .stdout.split('\n')
    .filter((line) => line !== '').length;
}

test('through the join port only the workers’ part of the API is reachable', async () => {
  const answerTo = async (path: string, more = '') =>
    text(toJoinPort(`GET ${path} HTTP/1.1\r\nHost: x\r\n${more || 'Connection: close\r\n'}\r\n`));
  const unauthorized = /^HTTP\/1\.1 401 [^]*"code":"unauthorized"/;
  expect(await answerTo('/workers/jobs/1')).toMatch(unauthorized);
  const upgrade = 'Connection: Upgrade, close\r\nUpgrade: websocket\r\n';
  const notFound = expect.stringMatching(/^HTTP\/1\.1 404 /);
  expect(await answerTo('/workers/jobs/1', upgrade)).toEqual(notFound);
  for (const path of [
    ...[
      '/workers/../health',
      '/workers/%2e%2e/health',
      '/workers/.%2E/health',
      '/workers/jobs/%2e./../health',
    ],
    ...[
      '/workers/%2e%2e\\health',
      '/workers/..\\health',
      '/workers\\..\\health',
      '/workers/%2e%2e%2fhealth',
    ],
    ...['/workers//127.0.0.1/health', '//workers/../health', '/health', 'http://x/health'],
    ...[
      'http://x/workers/%2e%2e/health',
      '/workers/%2e%2e/api/status/1',
      '/workers/',
      '/workers/jobs/1?a/../b',
    ],
  ])
    expect([path, await answerTo(path)]).toEqual([path, notFound]);
});

test('a worker reports its health', async () => {
  expect(await worker.jobrunner('health')).toEqual({ code: 0, said: 'ok\n' });
  worker.setLink('down');
  const cut = await worker.jobrunner('health');
  worker.setLink('up');
  expect(cut).toEqual({ code: 1, said: 'the controller’s slurmctld does not answer\n' });
  // The check is not mistaken for a message of Slurm's prolog.
  expect(readFileSync(join(worker.root, 'logs', 'worker-agent.log'), 'utf8')).not.toMatch(
    /came to noth/,
  );
  const slurmd = join(worker.root, 'run', 'slurmd-worker1.pid');
  const before = readFileSync(slurmd, 'utf8');
  writeFileSync(slurmd, '999999999\n');
  const { code, said } = await worker.jobrunner('health');
  writeFileSync(slurmd, before);
  expect([code, said.split('\n')[0]]).toEqual([1, 'slurmd does not run']);
});

test('when slurmctld restarts, jobs with a worker’s GPUs are not refused or lost, and no two get the same GPU', async () => {
  const fields = { command_key: 'shell', mem_gb: 0.1, ...onWorker };
  const untilGo = 'echo on; until [ -e go ]; do sleep 0.1; done; echo $SLURM_JOB_GPUS';
  const { json: running } = await stack.submit({ ...fields, gpus: 2, command: untilGo });
  await stack.says(running.job_id, /^on$/m);
  // The first job leaves no room for it.
  const { json: waiting } = await stack.submit({ ...fields, gpus: 2, command: 'echo 0-2' });
  const small: number[] = [];
  process.kill(await stack.pidOf('slurmctld'), 'SIGTERM');
  // While slurmctld is away, while it starts, and before the worker has reported its GPUs.
  for (let n = 0; n < 6; n++) {
    const command = 'echo $SLURM_JOB_GPUS';
    const { status, json } = await stack.submit({ ...fields, gpus: 0.25, command });
    expect([201, 202]).toContain(status);
    small.push(json.job_id);
    await setTimeout(250);
  }
  const ended = async (id: number) => {
    await until(`job ${id} ends`, async () => {
      const { json } = await stack.call('GET', `/jobs/${id}`);
      return !['SUBMITTING', 'PENDING', 'RUNNING', 'COMPLETING'].includes(json.status);
    });
    const { json } = await stack.call('GET', `/jobs/${id}`);
    const { text: log } = await stack.call('GET', `/jobs/${id}/log`);
    return [id, json.status, json.message, log];
  };
  // The one free GPU.
  for (const id of small) expect(await ended(id)).toEqual([id, 'COMPLETED', null, '2\n']);
  expect((await stack.call('GET', `/jobs/${waiting.job_id}`)).json.status).toBe('PENDING');
  await worker.letGo(running.job_id);
  const [first, second] = [running.job_id, waiting.job_id];
  expect(await ended(first)).toEqual([first, 'COMPLETED', null, 'on\n0,1\n']);
  expect(await ended(second)).toEqual([second, 'COMPLETED', null, '0-2\n']);
});

test('a worker that slurmctld has forgotten returns automatically', async () => {
  // Simulates a slurmctld that was killed before it saved the worker, which takes it some seconds.
  const scontrol = (...args: string[]) => slurm('scontrol', ...args).status === 0;
  expect(scontrol('update', 'NodeName=worker1', 'State=DOWN', 'Reason=test')).toBe(true);
  await until('it is gone', () => scontrol('delete', 'NodeName=worker1'));
  const timesUnknown = () => worker.said.split('slurmctld had forgotten this worker').length;
  const before = timesUnknown();
  process.kill(await stack.pidOf('slurmctld'), 'SIGTERM');
  await until('it is told to', () => timesUnknown() > before);
  // Its restarted slurmd may not have reported the GPUs yet.
  const job = await stack.shell('echo $SLURM_JOB_GPUS', { ...onWorker, gpus: 3 }, [201, 202]);
  expect(job.log).toBe('0,1,2\n');
});

test('a worker’s GPU is paused and resumed: its jobs end, no job starts, also after the worker has returned', async () => {
  const node = async () =>
    (await stack.call<GpusReply>('GET', '/gpus')).json.workers.find(
      (one) => one.node === 'worker1',
    );
  const fields = { ...onWorker, mem_gb: 0.1, command_key: 'shell' };
  const { json: running } = await stack.submit({
    ...{ ...fields, gpus: 3 },
    command: 'echo on; until [ -e go ]; do sleep 0.1; done',
  });
  await stack.until(running.job_id, 'RUNNING');
  const pause = (index: number, what = 'pause', body = {}) =>
    stack.call('POST', `/nodes/worker1/gpus/${index}/${what}`, {
      body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json' },
    });
  expect((await pause(0, 'pause', { reason: 'fan' })).json).toMatchObject({
    ...{ node: 'worker1', index: 0, state: 'paused', paused: { by: 'admin', reason: 'fan' } },
  });
  expect(await pause(0)).toMatchObject({ status: 409, json: { error: refusal('conflict') } });
  expect(await pause(3)).toMatchObject({
    status: 404,
    json: { error: refusal('not_found', 'index') },
  });
  expect((await pause(2)).status).toBe(200);
  await worker.letGo(running.job_id);
  expect(await stack.finish(running.job_id)).toMatchObject({ status: 'COMPLETED' });
  const onOne = async () =>
    (await stack.shell('echo $SLURM_JOB_GPUS', { ...onWorker, gpus: 1 })).log;
  expect([await onOne(), await onOne()]).toEqual(['1\n', '1\n']);

  // Placeholders need their node, so a worker's placeholders leave and return with the worker.
  const { root } = worker;
  await worker.leave();
  worker = await TestWorker.start(stack, joinToken(stack), {}, root);
  await worker.ready();
  await until('both are closed again', () => runningPlaceholders() === 2);
  expect([await onOne(), await onOne()]).toEqual(['1\n', '1\n']);
  expect((await node())?.gpus.map(({ state }) => state)).toEqual(['paused', 'free', 'paused']);

  const { json: whole } = await stack.submit({ ...fields, gpus: 3, command: 'echo all' });
  for (const index of [0, 2]) expect((await pause(index, 'resume')).status).toBe(200);
  expect(await stack.finish(whole.job_id)).toMatchObject({ status: 'COMPLETED', log: 'all\n' });
  expect((await pause(0, 'resume')).status).toBe(409);
});

test('a worker with the munge key in a file does not get the key, and is refused with a different one', async () => {
  const key = join(folder, 'munge.key');
  writeFileSync(key, 'x'.repeat(1024), { mode: 0o600 });
  const byFile = { JR_MUNGE_KEY_FILE: key };
  const wrong = await TestWorker.start(stack, joinToken(stack), byFile);
  expect(await wrong.ended()).toMatch(/JR_MUNGE_KEY_FILE: .*cluster/);
  await wrong.remove();
  copyFileSync(join(stack.root, 'munge', 'munge.key'), key);
  const second = await TestWorker.start(stack, joinToken(stack), byFile);
  await second.ready();
  const name = /ready: (worker\d)/.exec(second.said)?.[1] ?? '';
  const kept = join(second.root, 'munge', 'munge.key');
  expect(readFileSync(kept).equals(readFileSync(key))).toBe(true);
  expect(statSync(kept).mode & 0o777).toBe(0o600);
  // Each takes all GPUs of one machine.
  const whole = { ...onWorker, gpus: 3 };
  const command = 'echo $SLURMD_NODENAME; until [ -e go ]; do sleep 0.1; done';
  const fields = { command_key: 'shell', command, mem_gb: 0.2, ...whole };
  const both = [await stack.submit(fields), await stack.submit(fields)];
  const ids = both.map(({ json }) => json.job_id);
  for (const id of ids) await stack.says(id, /worker/);
  // On either of the two.
  for (const folder of ids.flatMap((id) =>
    [worker, second].map(({ root }) => join(root, 'results', String(id))),
  ))
    if (existsSync(folder)) writeFileSync(join(folder, 'go'), '');
  const ran = await Promise.all(ids.map((id) => stack.finish(id)));
  expect(ran.map(({ log }) => log).sort()).toEqual(['worker1\n', `${name}\n`].sort());
  await second.leave();
  await second.remove();
});

test('a renewed join token invalidates the old one, and workers that have joined stay', async () => {
  const before = joinToken(stack);
  const after = joinToken(stack, '--renew');
  expect(after).not.toBe(before);
  expect(after.split('.')[1]).toBe(before.split('.')[1]);
  expect(joinToken(stack)).toBe(after);
  const late = await TestWorker.start(stack, before);
  expect(await late.ended()).toMatch(/JR_JOIN_TOKEN: .*controller/);
  await late.remove();
  expect((await stack.shell('echo $SLURMD_NODENAME', onWorker)).log).toBe('worker1\n');
  const invited = await TestWorker.start(stack, after);
  await invited.ready();
  expect(await invited.leave()).toMatch(/Stopped\.\n$/);
  await invited.remove();
});

test('a client that never ends its request at the join port is cut off', async () => {
  await until('it is closed', () => stalled.closed);
});

test('a worker that its controller does not know stops cleanly', async () => {
  // As after a start of the controller with an empty volume.
  writeFileSync(join(stack.root, 'workers', 'workers.json'), '{ "workers": [] }\n');
  expect(await worker.leave()).toMatch(/no worker has this token; .*\nStopped\.\n$/);
});
