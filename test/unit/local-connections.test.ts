import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { networkOf } from '../../src/auth/addresses.js';
import { LocalConnections } from '../../src/auth/local-connections.js';

/** Connects and stays connected until its standard input ends. */
const client = `
  const socket = require('node:net').connect(Number(process.argv[2]), process.argv[1]);
  process.stdin.on('end', () => socket.destroy()).resume();
`;

/** The Unix user of a connection from a process that runs as `uid`. */
async function seen(uid: number, listensAt: string, connectsTo: string) {
  const server = createServer().listen(0, listensAt);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const child = spawn(process.execPath, ['-e', client, connectsTo, String(port)], {
    uid,
    stdio: ['pipe', 'inherit', 'inherit'],
    cwd: '/',
  });
  const [socket] = (await once(server, 'connection')) as [Socket];
  try {
    return await new LocalConnections().userOf(socket);
  } finally {
    child.stdin.end();
    await once(child, 'exit');
    socket.destroy();
    server.close();
  }
}

test.each([
  ['0.0.0.0', '127.0.0.1'],
  ['127.0.0.1', '127.0.0.1'],
  ['::', '127.0.0.1'],
  ['::', '::1'],
])('at %s, a connection to %s names the sender’s Unix user', async (listensAt, connectsTo) => {
  expect(await seen(12_345, listensAt, connectsTo)).toBe(12_345);
  expect(await seen(0, listensAt, connectsTo)).toBe(0);
});

test('a connection whose sender is gone names nobody, root least of all', async () => {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const child = spawn(process.execPath, ['-e', client, '127.0.0.1', String(port)], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  const [socket] = (await once(server, 'connection')) as [Socket];
  child.stdin.end();
  await once(child, 'exit');
  expect(await new LocalConnections().userOf(socket)).toBeUndefined();
  socket.destroy();
  server.close();
});

test('searches at once share reads, and each finds its own connection', async () => {
  const connections = new LocalConnections();
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const found: Promise<number | undefined>[] = [];
  const clients: Socket[] = [];
  for (let i = 0; i < 20; i++) {
    clients.push(connect(port, '127.0.0.1'));
    const [socket] = (await once(server, 'connection')) as [Socket];
    found.push(connections.userOf(socket));
  }
  expect(await Promise.all(found)).toEqual(Array<number>(20).fill(process.getuid?.() ?? -1));
  for (const client of clients) client.destroy();
  server.close();
});

test('addresses of one network are counted together', () => {
  expect(networkOf('192.0.2.1')).toBe('192.0.2.1');
  expect(networkOf('::ffff:192.0.2.1')).toBe('192.0.2.1');
  expect(networkOf('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2');
  expect(networkOf('2001:db8:1:2::9')).toBe('2001:db8:1:2');
  expect(networkOf('fe80::1%eth0')).toBe('fe80:0:0:0');
});
