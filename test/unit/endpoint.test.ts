import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { pino } from 'pino';
import { pinoHttp } from 'pino-http';
import { z } from 'zod';
import { AppError, type ErrorCode } from '../../src/errors.js';
import { Api } from '../../src/http/api.js';
import { endpoint } from '../../src/http/endpoint.js';
import { errorReply } from '../../src/http/error-reply.js';
import { SchemaCollection } from '../../src/http/json-schema.js';
import { json } from '../../src/http/reply.js';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Answers one call of an endpoint with the reply `{ "n": number }`. */
async function answer(handler: () => unknown, errors: ErrorCode[] = []): Promise<number> {
  const api = new Api({ public: () => undefined });
  const reply = json(z.strictObject({ n: z.number() }));
  const spec = { method: 'get', path: '/x/{id}', role: 'public', summary: '', reply } as const;
  const params = z.object({ id: z.string() });
  endpoint(api, { ...spec, params, errors }, () => handler() as { n: number });
  const app = express().use(pinoHttp({ logger: pino({ level: 'silent' }) }));
  const listening = createServer(app.use(api.router).use(errorReply())).listen(0, '127.0.0.1');
  server = listening;
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  return (await fetch(`http://127.0.0.1:${port}/x/1`)).status;
}

test('in tests, a reply that breaks its schema or has an extra field fails', async () => {
  expect(await answer(() => ({ n: 1 }))).toBe(200);
  server?.close();
  expect(await answer(() => ({ n: 'one' }))).toBe(500);
  server?.close();
  expect(await answer(() => ({ n: 1, more: 2 }))).toBe(500);
});

test('in tests, an undeclared error of an endpoint fails', async () => {
  const fail = () => {
    throw new AppError('conflict', 'no');
  };
  expect(await answer(fail, ['conflict'])).toBe(409);
  server?.close();
  expect(await answer(fail)).toBe(500);
});

test('an endpoint without a guard for its role cannot be mounted', () => {
  const spec = { method: 'get', path: '/x', role: 'admin', summary: '', errors: [] } as const;
  const mount = () =>
    endpoint(new Api({}), { ...spec, reply: json(z.strictObject({})) }, () => ({}));
  expect(mount).toThrow('no guard for the role');
});

test('a default of a field that is read from text is described as text', () => {
  const limit = z.string().regex(/^\d+$/).transform(Number).default(100);
  expect(new SchemaCollection().input(z.strictObject({ limit }))).toMatchObject({
    properties: { limit: { type: 'string', default: '100' } },
  });
});
