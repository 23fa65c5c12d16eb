import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { ListenOptions } from 'node:net';
import { continueWhenRead } from './expect-continue.js';

/**
 * Listens with limits that let a slow, steady upload run for hours, yet end a caller that sends
 * nothing. Node's default `requestTimeout` of 300 s would cut such uploads
 * (nodejs.org/api/http.html#serverrequesttimeout).
 * @param where a host and a port, or the path of a Unix socket
 */
export async function listen(app: RequestListener, where: ListenOptions): Promise<Server> {
  const server = createServer({ headersTimeout: 20_000, requestTimeout: 0 }, app);
  server.on('checkContinue', (req, res) => {
    continueWhenRead(req, res);
    app(req, res);
  });
  server.timeout = 120_000;
  server.keepAliveTimeout = 65_000;
  server.listen(where);
  await once(server, 'listening');
  return server;
}

/** Takes no new requests, gives running ones `graceMs` to end, then cuts them off. */
export async function closeServer(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(cut);
}
