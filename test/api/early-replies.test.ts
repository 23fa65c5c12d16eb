import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { refusal } from '../refusal.js';
import { TestApi } from './api.js';

let api: TestApi;
/** The owner has no limits. */
let limited: { Authorization: string };
const stored = Buffer.alloc(3 * 2 ** 20, 'a');
const digestOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const path = `/datasets/${digestOf(stored)}`;

beforeAll(async () => {
  api = await TestApi.start({ JR_MAX_UPLOAD_GB: '1', JR_USER_MAX_STORED_GB: '0.5' });
  limited = await api.tokenOf('alice');
  expect(await api.call('PUT', path, stored)).toMatchObject({ status: 201 });
});
afterAll(() => api.close());

/** A request whose head is sent, but no byte of its body. */
class OpenRequest {
  received = '';

  private constructor(readonly socket: Socket) {
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => (this.received += text));
    // The service may reset the connection of a caller that still sends.
    socket.on('error', () => undefined);
  }

  static async send(request: string, headers: Record<string, string | number>) {
    const socket = connect(api.port, '127.0.0.1');
    await once(socket, 'connect');
    const lines = Object.entries({ Host: 'x', Authorization: api.authorization, ...headers });
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    socket.write(`${request} HTTP/1.1\r\n${head}\r\n`);
    return new OpenRequest(socket);
  }

  /** Waits for the text of an interim or whole reply. */
  async got(text: string | RegExp): Promise<void> {
    while (this.received.search(text) < 0) {
      if (this.socket.closed) throw new Error(`closed after: ${this.received}`);
      await Promise.race([once(this.socket, 'data'), once(this.socket, 'close')]);
    }
  }

  async closed(): Promise<string> {
    if (!this.socket.closed) await once(this.socket, 'close');
    return this.received;
  }
}

const waits = { Expect: '100-continue' };
const GiB = 2 ** 30;

describe.each([
  ['that waits for 100 Continue', waits],
  ['that does not', {}],
])('a caller %s', (_how, expectation: Record<string, string>) => {
  test.each<[string, string, Record<string, string | number>, number, string]>([
    ['a PUT of a stored dataset', `PUT ${path}`, { 'Content-Length': stored.length }, 200, 'false'],
    [
      'a PUT of chunks of a stored dataset',
      `PUT ${path}`,
      { 'Transfer-Encoding': 'chunked' },
      200,
      'false',
    ],
    [
      'a PUT that must make the dataset',
      `PUT ${path}`,
      { 'Content-Length': stored.length, 'If-None-Match': '*' },
      412,
      'exists_already',
    ],
    [
      'a PUT with a wrong token',
      `PUT ${path}`,
      { 'Content-Length': stored.length, Authorization: 'Bearer wrong' },
      401,
      'unauthorized',
    ],
    [
      'a PUT that is too large',
      `PUT /datasets/${digestOf(Buffer.from('large'))}`,
      { 'Content-Length': 2 * GiB },
      413,
      'too_large',
    ],
    [
      'a PUT over the quota',
      `PUT /datasets/${digestOf(Buffer.from('much'))}`,
      { 'Content-Length': 0.75 * GiB },
      413,
      'quota_exceeded',
    ],
    [
      'a form over the quota',
      'POST /datasets/upload',
      { 'Content-Length': 0.75 * GiB, 'Content-Type': 'multipart/form-data; boundary=X' },
      413,
      'quota_exceeded',
    ],
    [
      'a job’s JSON that is too large',
      'POST /jobs',
      { 'Content-Length': GiB, 'Content-Type': 'application/json' },
      413,
      'too_large',
    ],
  ])(
    'gets the reply to %s before it sends a byte',
    async (_what, request, headers, status, text) => {
      const open = await OpenRequest.send(request, { ...limited, ...headers, ...expectation });
      await open.got(text);
      open.socket.end();
      const received = await open.closed();
      expect(received).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      expect(received).toMatch(/^connection: close\r$/im);
      expect(received).not.toContain('100 Continue');
    },
  );
});

test('a caller that waits for 100 Continue gets it when the body is wanted', async () => {
  const fresh = Buffer.from('fresh bytes');
  const open = await OpenRequest.send(`PUT /datasets/${digestOf(fresh)}`, {
    ...waits,
    'Content-Length': fresh.length,
    Connection: 'close',
  });
  await open.got('100 Continue\r\n\r\n');
  expect(open.received).not.toContain(' 201 ');
  open.socket.write(fresh);
  expect(await open.closed()).toContain('HTTP/1.1 201 ');
});

test('a caller that reads only after sending all of a stored dataset gets its reply', async () => {
  const open = await OpenRequest.send(`PUT ${path}`, { 'Content-Length': stored.length });
  open.socket.pause();
  await new Promise((resolve) => open.socket.write(stored, resolve));
  open.socket.resume();
  expect(await open.closed()).toMatch(/^HTTP\/1\.1 200 .*"created": false/s);
});

test('bytes of another length than the stored dataset’s are read, and refused', async () => {
  expect(await api.call('PUT', path, Buffer.from('other'))).toMatchObject({
    status: 400,
    json: { error: refusal('sha256_mismatch', 'sha256') },
  });
});

test('curl sends no byte of a stored dataset', async () => {
  const file = join(api.root, 'stored');
  writeFileSync(file, stored);
  const { stdout } = await execa('curl', [
    ...['-sS', '-o', join(api.root, 'reply'), '-w', '%{http_code} %{size_upload}'],
    ...['-H', `Authorization: ${api.authorization}`, '-T', file, api.url + path],
  ]);
  expect(stdout).toBe('200 0');
});

test('HEAD tells whether a dataset is stored', async () => {
  const missing = `/datasets/${digestOf(Buffer.from('missing'))}`;
  const head = async (of: string) =>
    (await fetch(api.url + of, { method: 'HEAD', headers: limited })).status;
  expect([await head(path), await head(missing)]).toEqual([200, 404]);
});
