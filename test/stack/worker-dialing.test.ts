import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  connect as connectHttp2,
  type ClientHttp2Session,
  type IncomingHttpHeaders,
} from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { linkPath, linkProtocol, streamPaths } from '../../src/machines/link/link.js';
import { freePorts } from '../free-ports.js';
import { isLoopback, listeners, listenersHere } from '../listening.js';
import { LiveStack } from './live-stack.js';
import { joinToken, TestWorker } from './test-worker.js';
import { until } from '../until.js';

interface NodesReply {
  nodes: { name: string; state: string }[];
}
interface ResultReply {
  outputs: { path: string }[];
  warnings: string[];
}

let stack: LiveStack;
let worker: TestWorker;
beforeAll(async () => {
  const [port] = await freePorts(1);
  stack = await LiveStack.start({ JR_JOIN_PORT: String(port), JR_WORKER_TIMEOUT: '120' });
  worker = await TestWorker.start(stack, joinToken(stack));
  await worker.ready();
});
afterAll(async () => {
  await TestWorker.removeAll();
  await stack.remove();
});

const fields = { command_key: 'shell', mem_gb: 0.2, partition: 'workers' };
const node = async () =>
  (await stack.call<NodesReply>('GET', '/nodes')).json.nodes.find(({ name }) => name === 'worker1');
const joinPortLog = () => readFileSync(join(stack.root, 'logs', 'join-port.log'), 'utf8');
const linkLog = () => readFileSync(join(worker.root, 'logs', 'worker-link.log'), 'utf8');
const times = (log: () => string, words: string) => log().split(words).length - 1;

/** Runs a job that ends when it is let go. @returns its number once it says that it runs */
async function runningJob(): Promise<number> {
  const command =
    'echo before; n=0; until [ -e go ]; do echo line $((++n)); sleep 0.25; done; echo x >x.pt; echo after';
  const { json } = await stack.submit({ ...fields, command });
  await stack.says(json.job_id, /^before$/m);
  return json.job_id;
}

/** Lets the job end, and expects its whole log and its output. */
async function endWhole(id: number): Promise<void> {
  await worker.letGo(id);
  const ended = await stack.finish(id);
  const lines = ended.log.split('\n').length - 3;
  const counted = Array.from({ length: lines }, (_, i) => `line ${i + 1}\n`).join('');
  expect(ended).toMatchObject({ status: 'COMPLETED', log: `before\n${counted}after\n` });
  const outputs = await until(`the outputs of job ${id} come`, async () => {
    const { json } = await stack.call<ResultReply>('GET', `/jobs/${id}/result`);
    return !json.warnings.some((warning) => warning.includes('still on')) && json.outputs;
  });
  expect(outputs.map(({ path }) => path)).toEqual(['x.pt']);
}

test('Slurm listens on loopback alone, here and on a worker', async () => {
  const here = listenersHere();
  for (const name of ['SLURMCTLD', 'SLURMD', 'SLURMDBD', 'WORKER_SLURMD']) {
    const port = Number(stack.env[`JR_${name}_PORT`]);
    const own = here.filter((one) => one.port === port);
    expect([name, own.length > 0, own.filter((one) => !isLoopback(one))]).toEqual([name, true, []]);
  }
  const there = listeners(await worker.runThere('cat', '/proc/net/tcp', '/proc/net/tcp6'));
  expect(there.map(({ port }) => port).sort()).toEqual([6817, 6818]);
  expect(there.filter((one) => !isLoopback(one))).toEqual([]);
});

test('while the link of a worker is cut for as long as it takes both sides to notice, its job runs on, and nothing is lost', async () => {
  const id = await runningJob();
  const before = { here: times(joinPortLog, 'has ended'), there: times(linkLog, 'has ended') };
  worker.setLink('down');
  await until('both sides have noticed', () => {
    const here = times(joinPortLog, 'has ended') > before.here;
    return here && times(linkLog, 'has ended') > before.there;
  });
  expect((await stack.shell('echo here', { partition: 'main' })).log).toBe('here\n');
  worker.setLink('up');
  await endWhole(id);
  expect((await stack.shell('echo next', fields)).log).toBe('next\n');
  expect((await node())?.state).not.toMatch(/down/);
});

test('a job on a worker outlives each of the processes that carry its Slurm', async () => {
  const id = await runningJob();
  const there = times(linkLog, 'is up');
  await worker.kill('worker-link');
  await until('the worker’s end is back', () => times(linkLog, 'is up') > there);
  const here = times(joinPortLog, 'is up');
  process.kill(await stack.pidOf('join-port'), 'SIGKILL');
  await until('the controller’s end is back', () => times(joinPortLog, 'is up') > here);
  expect((await stack.shell('echo beside', fields)).log).toBe('beside\n');
  await endWhole(id);
});

test('a job on a worker outlives a restart of the controller', async () => {
  const id = await runningJob();
  expect(await stack.down()).toBe(0);
  await stack.up();
  // Starts once the workers' partition is open. The reconfiguration before that forgets the end of
  // a job that ends during it (22.05): the job stays in COMPLETING for minutes.
  expect((await stack.shell('echo beside', fields)).log).toBe('beside\n');
  await endWhole(id);
});

test('a worker that is restarted comes back under its name', async () => {
  const { root } = worker;
  await worker.leave();
  worker = await TestWorker.start(stack, joinToken(stack), {}, root);
  await worker.ready();
  expect((await stack.shell('echo $SLURMD_NODENAME', fields)).log).toBe('worker1\n');
});

test('who holds two thousand connections to the join port keeps nobody from it', async () => {
  const port = Number(stack.env['JR_JOIN_PORT']);
  const open: Socket[] = [];
  const from = (localAddress: string) => {
    const socket = connectTcp({ host: '127.0.0.1', port, localAddress });
    socket.on('error', () => undefined);
    open.push(socket);
  };
  for (let i = 0; i < 1000; i++) {
    from('127.0.0.1');
    from(`127.1.${i >> 8}.${i & 255}`);
  }
  await until('all have been tried', () => open.every((one) => !one.connecting));
  expect((await stack.shell('true')).status).toBe('COMPLETED');
  expect((await stack.shell('echo there', fields)).log).toBe('there\n');
  const before = times(linkLog, 'is up');
  await worker.kill('worker-link');
  await until('its link is up again', () => times(linkLog, 'is up') > before);
  const second = await TestWorker.start(stack, joinToken(stack));
  await second.ready();
  await second.leave();
  expect((await stack.call('GET', '/health')).status).toBe(200);
  for (const socket of open) socket.destroy();
});

/** Asks for a link as a worker does. */
async function askForLink(headers: Record<string, string>) {
  const port = Number(stack.env['JR_JOIN_PORT']);
  // Not from an address that has used up what strangers may hold.
  const at = { host: '127.0.0.1', port, localAddress: '127.2.0.1' };
  const socket = connect({ ...at, rejectUnauthorized: false });
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(
    `GET ${linkPath} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n${lines.join('')}\r\n`,
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return { socket, answer: answer.toString() };
}

const statusOf = async (session: ClientHttp2Session, path: string) => {
  const stream = session.request({ ':method': 'POST', ':path': path }, { endStream: false });
  const [headers] = (await once(stream, 'response')) as [
    IncomingHttpHeaders & { ':status': number },
  ];
  return headers[':status'];
};

test('a link is only for who has a worker’s token, and leads only to slurmctld', async () => {
  for (const headers of [{}, { Authorization: `Bearer ${stack.token}` }]) {
    const { socket, answer } = await askForLink({ Upgrade: linkProtocol, ...headers });
    expect(answer).toMatch(/^HTTP\/1.1 401 /);
    socket.destroy();
  }
  const self = JSON.parse(readFileSync(join(worker.root, 'workers', 'self.json'), 'utf8')) as {
    token: string;
  };
  const Authorization = `Bearer ${self.token}`;
  const other = await askForLink({ Upgrade: 'websocket', Authorization });
  expect(other.answer).toMatch(/^HTTP\/1.1 404 /);
  other.socket.destroy();

  const { socket, answer } = await askForLink({ Upgrade: linkProtocol, Authorization });
  expect(answer).toMatch(/^HTTP\/1.1 101 /);
  const session = connectHttp2('http://x', { createConnection: () => socket });
  expect(await statusOf(session, streamPaths.slurmctld)).toBe(200);
  for (const path of ['/', '/slurmdbd', `/127.0.0.1:${stack.env['JR_PORT']}`, '/workers/jobs/1'])
    expect([path, await statusOf(session, path)]).toEqual([path, 404]);
  session.destroy();
  // The worker takes its place back.
  expect((await stack.shell('echo still', fields)).log).toBe('still\n');
});
