import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import {
  connect as connectHttp2,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
} from 'node:http2';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { WorkerLink } from '../../src/machines/controller/join-port/worker-link.js';
import { streamPaths } from '../../src/machines/link/link.js';
import { freePorts } from '../free-ports.js';

let workerSlurmd: number;
let slurmctld: Server;
let joinPort: Server;
let link: WorkerLink;
let session: ClientHttp2Session;
const opened: Socket[] = [];
beforeEach(async () => {
  [workerSlurmd = 0] = await freePorts(1);
  slurmctld = await listen((socket) => socket.end(`${socket.remoteAddress}`));
  const ports = { address: '127.0.0.1', slurmctld: portOf(slurmctld), workerSlurmd };
  link = await WorkerLink.open('worker9', ports, () => undefined);
  joinPort = await listen((socket) => link.attach(socket as TLSSocket));
  const cable = connect({ port: portOf(joinPort), host: '127.0.0.1' });
  session = connectHttp2('http://x', { createConnection: () => cable });
  await once(session, 'remoteSettings');
});
afterEach(() => {
  session.destroy();
  link.close();
  for (const socket of opened.splice(0)) socket.on('error', () => undefined).destroy();
  for (const server of [slurmctld, joinPort]) server.close();
});

async function listen(take: (socket: Socket) => void): Promise<Server> {
  const server = createServer(take);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

function open(path: string): ClientHttp2Stream {
  const stream = session.request({ ':method': 'POST', ':path': path }, { endStream: false });
  return stream.on('error', () => undefined);
}

async function allOf(stream: Socket | ClientHttp2Stream): Promise<string> {
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += String(chunk)));
  await once(stream, 'end');
  return text;
}

function connectToSlurmd(): Socket {
  const socket = connect({ host: '127.77.0.9', port: workerSlurmd });
  opened.push(socket);
  return socket;
}

test('a worker’s connection reaches slurmctld from the address where slurmctld finds its slurmd', async () => {
  expect(await allOf(open(streamPaths.slurmctld))).toBe('127.77.0.9');
});

test('a connection to a worker’s slurmd waits for a stream, and takes none that the worker has closed', async () => {
  const waiting = connectToSlurmd();
  const first = open(streamPaths.slurmd);
  await once(first, 'response');
  first.end('first');
  expect(await allOf(waiting)).toBe('first');

  const [closed, spare] = [open(streamPaths.slurmd), open(streamPaths.slurmd)];
  closed.close(constants.NGHTTP2_CANCEL);
  await once(closed, 'close');
  const next = connectToSlurmd();
  await once(spare, 'response');
  spare.end('second');
  expect(await allOf(next)).toBe('second');
});
