import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Strangers } from '../../src/machines/controller/join-port/strangers.js';
import { until } from '../until.js';

let server: Server;
let strangers: Strangers;
const accepted: Socket[] = [];
const open: Socket[] = [];
beforeEach(async () => {
  strangers = new Strangers({ maxMs: 600_000, maxByNetwork: 3, maxInTotal: 20 });
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    accepted.push(socket);
    strangers.take(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  for (const socket of [...open.splice(0), ...accepted.splice(0)]) socket.destroy();
  server.close();
});

/** @returns whether it is still open */
async function from(localAddress: string): Promise<() => boolean> {
  const { port } = server.address() as AddressInfo;
  const count = accepted.length;
  const socket = connect({ host: '127.0.0.1', port, localAddress });
  socket.on('error', () => undefined);
  open.push(socket);
  await until('it is accepted', () => accepted.length > count);
  return () => accepted[count]?.destroyed === false;
}

test('one address has a limited number of connections without a token; those with one do not count', async () => {
  const all: (() => boolean)[] = [];
  for (let n = 0; n < 8; n++) all.push(await from('127.0.0.1'));
  const kept = all.filter((isOpen) => isOpen()).length;
  expect(kept).toBe(3);
  expect(all.slice(0, kept).every((isOpen) => isOpen())).toBe(true);
  expect((await from('127.0.0.2'))()).toBe(true);
  const [trusted] = accepted;
  if (trusted) strangers.trust(trusted);
  expect((await from('127.0.0.1'))()).toBe(true);
  expect((await from('127.0.0.1'))()).toBe(false);
});

test('when many addresses have too many, the oldest connection without a token makes room', async () => {
  const trusted = await from('127.0.1.1');
  const [first] = accepted;
  if (first) strangers.trust(first);
  const all: (() => boolean)[] = [];
  for (let n = 0; n < 23; n++) all.push(await from(`127.1.0.${n}`));
  expect(all.map((isOpen) => isOpen()).indexOf(true)).toBe(3);
  expect(all.filter((isOpen) => isOpen())).toHaveLength(20);
  expect(trusted()).toBe(true);
});
