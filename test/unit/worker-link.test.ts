import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import {
  connect as connectHttp2,
  performServerHandshake,
  type ClientHttp2Session,
} from 'node:http2';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { carry } from '../../src/machines/link/carry.js';
import { Heartbeat } from '../../src/machines/link/heartbeat.js';
import { until } from '../until.js';

// A link between two ports: who connects to `near` reaches `far` through it.

let far: Server;
let near: Server;
let join: Server;
let session: ClientHttp2Session;
/** The join port's end of the connection that the link goes over. */
let under: Socket;
beforeEach(async () => {
  far = await listen((socket) => arrived(socket));
  join = await listen((socket) => {
    under = socket;
    performServerHandshake(socket).on('stream', (stream) => {
      stream.respond({ ':status': 200 });
      carry(connect({ port: portOf(far), host: '127.0.0.1', allowHalfOpen: true }), stream);
    });
  });
  const cable = connect({ port: portOf(join), host: '127.0.0.1' });
  session = connectHttp2('http://x', { createConnection: () => cable });
  near = await listen((socket) => carry(socket, session.request({ ':method': 'POST' })), true);
  await once(session, 'connect');
});
afterEach(() => {
  session.destroy();
  for (const socket of opened.splice(0)) socket.on('error', () => undefined).destroy();
  for (const server of [far, near, join]) server.close();
});

const opened: Socket[] = [];
let arrived: (socket: Socket) => void = () => undefined;
const nextArrival = () => new Promise<Socket>((resolve) => (arrived = resolve));

async function listen(take: (socket: Socket) => void, pauseOnConnect = false): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect }, take);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/**
 * All that comes until the other side closes. Reading it with `for await` would close this side.
 */
async function allOf(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += String(chunk)));
  await once(socket, 'end');
  return text;
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

/** A connection through the link, and its end at the far side. */
async function open(): Promise<[Socket, Socket]> {
  const arrival = nextArrival();
  const socket = connect({ port: portOf(near), host: '127.0.0.1', allowHalfOpen: true });
  const ends: [Socket, Socket] = [socket, await arrival];
  opened.push(...ends);
  return ends;
}

test('a message and its answer arrive whole, though each side closes as soon as it has sent', async () => {
  const [here, there] = await open();
  const message = 'message '.repeat(2 ** 18);
  here.end(message);
  expect((await allOf(there)) === message).toBe(true);
  there.end('answer');
  expect(await allOf(here)).toBe('answer');
});

test('a message to which nobody listens for an answer arrives whole', async () => {
  const arrival = nextArrival();
  const here = connect({ port: portOf(near), host: '127.0.0.1' });
  here.end('one way');
  here.resume();
  const there = await arrival;
  expect(await allOf(there)).toBe('one way');
  there.end();
  await once(here, 'close');
});

test.each(['here', 'there'] as const)(
  'a connection that breaks off %s is reset on the other side, not ended',
  async (side) => {
    const [here, there] = await open();
    const [breaking, other] = side === 'here' ? [here, there] : [there, here];
    breaking.on('error', () => undefined);
    breaking.write('half');
    await once(other, 'data');
    const broken = once(other, 'error');
    breaking.resetAndDestroy();
    expect((await broken)[0]).toMatchObject({ code: 'ECONNRESET' });
  },
);

test('all connections of a link that breaks are reset on both sides', async () => {
  const [here, there] = await open();
  here.write('half');
  await once(there, 'data');
  const broken = Promise.all([once(here, 'error'), once(there.resume(), 'error')]);
  session.on('error', () => undefined);
  under.resetAndDestroy();
  expect((await broken).map(([error]) => error as unknown)).toMatchObject([
    { code: 'ECONNRESET' },
    { code: 'ECONNRESET' },
  ]);
});

test('one connection whose other side does not read leaves the others as quick as before', async () => {
  const [stuck] = await open();
  stuck.write(Buffer.alloc(8 * 2 ** 20));
  const [here, there] = await open();
  here.end('past it');
  expect(await allOf(there)).toBe('past it');
  stuck.on('error', () => undefined).destroy();
});

test('a link whose other side says nothing any more is ended', async () => {
  const mute = await listen(() => undefined);
  const cable = connect({ port: portOf(mute), host: '127.0.0.1' });
  const silent = connectHttp2('http://x', { createConnection: () => cable });
  const ended = [silent, session].map(
    (one) => new Promise((resolve) => one.once('close', () => resolve(one))),
  );
  silent.on('error', () => undefined);
  for (const one of [silent, session]) new Heartbeat(one, 200, () => undefined);
  expect(await Promise.race(ended)).toBe(silent);
  mute.close();
});

test('a link knows that its other side is silent, and when it answers again', async () => {
  const between: Socket[] = [];
  const proxy = await listen((socket) => {
    const onward = connect({ port: portOf(join), host: '127.0.0.1' });
    between.push(socket, onward);
    socket.pipe(onward).pipe(socket);
  });
  const cable = connect({ port: portOf(proxy), host: '127.0.0.1' });
  const through = connectHttp2('http://x', { createConnection: () => cable });
  await once(through, 'connect');
  let hasHeard = false;
  const heartbeat = new Heartbeat(through, 600_000, () => (hasHeard = true));
  expect(heartbeat.isSilent).toBe(false);
  for (const socket of between) socket.pause();
  await until('the other side is silent', () => heartbeat.isSilent);
  expect(hasHeard).toBe(false);
  for (const socket of between) socket.resume();
  await until('it answers again', () => hasHeard);
  expect(heartbeat.isSilent).toBe(false);
  through.destroy();
  for (const socket of between) socket.destroy();
  proxy.close();
});
