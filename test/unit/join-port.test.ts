import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { request } from 'node:https';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JoinRequest } from '../../src/cluster/workers/record.js';
import { layoutOf } from '../../src/config/layout.js';
import { openJoinFiles, type JoinFiles } from '../../src/machines/controller/join-files.js';
import { JoinServer } from '../../src/machines/controller/join-port/join-server.js';
import { RegisterClient } from '../../src/machines/controller/join-port/register-client.js';
import { WorkerLinks } from '../../src/machines/controller/join-port/worker-links.js';
import { RegisterServer } from '../../src/machines/controller/register-server.js';
import { JoinRefusal, type WorkerRegister } from '../../src/machines/controller/worker-register.js';
import { ControllerLink } from '../../src/machines/worker/controller-link.js';
import { freePorts } from '../free-ports.js';

let root: string;
let files: JoinFiles;
let port: number;
let server: JoinServer;
let registerServer: RegisterServer;

/** Refuses every worker; to get here, a worker needs the right secret. */
const register = {
  admit: () => Promise.reject(new JoinRefusal('no room for more workers')),
} as unknown as WorkerRegister;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'jr-join-'));
  const layout = layoutOf(root);
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  files = await openJoinFiles(layout, owner);
  const socket = join(root, 'register.sock');
  const say = () => undefined;
  registerServer = await RegisterServer.open(socket, owner, files, register, say);
  [port = 0] = await freePorts(1);
  server = await JoinServer.open(port, {
    certificate: files.certificate,
    key: readFileSync(layout.joinKey, 'utf8'),
    api: { host: '127.0.0.1', port: 1 },
    register: new RegisterClient(socket),
    workers: { holderOf: () => undefined },
    links: new WorkerLinks({ address: '127.0.0.1', slurmctld: 1, workerSlurmd: 1 }, say),
    say,
  });
});
afterEach(async () => {
  await server.close();
  await registerServer.close();
  rmSync(root, { recursive: true });
});

async function joinWith(secret: string): Promise<number | undefined> {
  const body: JoinRequest = {
    secret,
    worker_id: '0'.repeat(32),
    root: '/opt/jobrunner',
    app_root: '/opt/jobrunner/app',
    slurm: 'slurm-wlm 22.05.8',
    ids: { jobs: '', slurm: '' },
    now: 0,
    cpus: 1,
    memory_mb: 1024,
    gpus: [],
  };
  const sending = request({
    ...{ host: '127.0.0.1', port, path: '/join', method: 'POST', agent: false },
    ca: files.certificate,
    checkServerIdentity: () => undefined,
  }).end(JSON.stringify(body));
  const [answer] = (await once(sending, 'response')) as [IncomingMessage];
  answer.resume();
  return answer.statusCode;
}

test('wrong join tokens are slowed down, and block no worker with the right one', async () => {
  const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => joinWith(`wrong-${i}`)));
  expect(answers).toEqual(Array<number>(10).fill(403));
  expect(await joinWith('wrong')).toBe(429);
  expect(await joinWith(files.secret())).toBe(409);
});

test('a worker at a port that is not the join port is told so', async () => {
  const http = createServer((_request, reply) => reply.end('no')).listen(0, '127.0.0.1');
  const mute = createTcpServer((socket) => socket.once('data', () => socket.destroy()));
  mute.listen(0, '127.0.0.1');
  try {
    for (const other of [http, mute]) {
      if (!other.listening) await once(other, 'listening');
      const { port: wrong } = other.address() as AddressInfo;
      const target = { host: '127.0.0.1', port: wrong, fingerprint: Buffer.alloc(32) };
      const link = new ControllerLink({ ...target, silenceMs: 60_000 }, '');
      await expect(link.call('POST', '/join', { body: '{}' })).rejects.toThrow(
        `the controller at 127.0.0.1:${wrong} is unreachable: no JobRunner answers workers at this port; JR_CONTROLLER takes the port that JR_JOIN_PORT names on the controller`,
      );
      link.close();
    }
  } finally {
    http.close();
    mute.close();
  }
});
