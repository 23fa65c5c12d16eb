import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Express } from 'express';

/**
 * Listens with limits that let a slow, steady upload run for hours, yet end a caller that sends
 * nothing. Node's default `requestTimeout` of 300 s would cut such uploads
 * (nodejs.org/api/http.html#serverrequesttimeout).
 */
export async function listen(app: Express, host: string, port: number): Promise<Server> {
  const server = createServer({ headersTimeout: 20_000, requestTimeout: 0 }, app);
  server.timeout = 120_000;
  server.keepAliveTimeout = 65_000;
  server.listen({ host, port });
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
