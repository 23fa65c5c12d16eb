import { expect, test } from '@jest/globals';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exchange } from '../../src/cli/exchange.js';

test('a connection that breaks off within a reply fails the call, and nothing else', async () => {
  let breakOff = () => {};
  const server = createServer((req, res) => {
    breakOff = () => req.socket.resetAndDestroy();
    res.writeHead(200, { 'Content-Length': '100' });
    res.write('the start');
  });
  // The client has the head of the reply.
  const onResponse = () => breakOff();
  subscribe('http.client.response.finish', onResponse);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sent = exchange({
    method: 'GET',
    url: new URL(`http://127.0.0.1:${port}/`),
    socket: undefined,
    headers: {},
    body: undefined,
    signal: new AbortController().signal,
  });
  await expect(sent).rejects.toMatchObject({ code: 'ECONNRESET' });
  unsubscribe('http.client.response.finish', onResponse);
  server.close();
  await once(server, 'close');
});
