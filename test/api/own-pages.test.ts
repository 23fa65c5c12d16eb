import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { hostname } from 'node:os';
import { text } from 'node:stream/consumers';
import { TestApi } from './api.js';

let api: TestApi;
beforeAll(async () => {
  api = await TestApi.start({
    JR_PUBLIC_URL: 'https://jobs.example.com',
    JR_ALLOWED_HOSTS: '*.example.org',
    JR_TRUSTED_PROXIES: '127.0.0.1',
  });
});
afterAll(() => api.close());

/** Sends a form as a browser does; `fetch` would choose `Host` itself. */
async function send(method: string, path: string, headers: Record<string, string>) {
  const sending = request(api.url + path, { method, headers }).end();
  const [response] = (await once(sending, 'response')) as [IncomingMessage];
  const body = await text(response);
  return { status: response.statusCode, body };
}

const form = { 'Content-Type': 'application/x-www-form-urlencoded' };

test.each([
  ['another site', { Host: '192.0.2.1:8080', Origin: 'https://evil.example' }],
  ['another port of this machine', { Host: 'localhost:8080', Origin: 'http://localhost:8888' }],
  ['a page without an origin', { Host: '192.0.2.1:8080', Origin: 'null' }],
  ['a site that the browser calls another', { Host: 'localhost', 'Sec-Fetch-Site': 'same-site' }],
  ['a name pointed here', { Host: 'evil.example:8080', Origin: 'http://evil.example:8080' }],
  ['a name like ours', { Host: 'evil.jobs.example.com', Origin: 'http://evil.jobs.example.com' }],
])('a form of %s is refused', async (_what, headers) => {
  const { status, body } = await send('POST', '/api/submit', { ...form, ...headers });
  expect([status, body]).toEqual([403, expect.stringContaining('"code":"forbidden"')]);
  expect(JSON.parse(body)).toMatchObject({
    error: { details: { fields: [expect.stringMatching(/^(Host|Origin)$/)] } },
  });
});

test.each([
  ['this address', { Host: '192.0.2.1:8080', Origin: 'http://192.0.2.1:8080' }],
  ['a forwarded port', { Host: 'localhost:9000', Origin: 'http://localhost:9000' }],
  ['an address of IPv6', { Host: '[::1]:8080', Origin: 'http://[::1]:8080' }],
  ['a name in one’s own network', { Host: 'gpu-box:8080', Origin: 'http://gpu-box:8080' }],
  ['this machine’s name', { Host: hostname(), Origin: `http://${hostname().toLowerCase()}` }],
  ['the public name', { Host: '127.0.0.1:8080', Origin: 'https://jobs.example.com' }],
  ['an allowed name', { Host: 'a.example.org', Origin: 'http://a.example.org' }],
  [
    'a name that a proxy holds a certificate of',
    { Host: 'jobs.example.net', Origin: 'https://jobs.example.net', 'X-Forwarded-Proto': 'https' },
  ],
  ['a browser’s extension', { Host: 'localhost:8080', Origin: 'chrome-extension://abcdef' }],
  ['a program, at any name', { Host: 'evil.example' }],
])('a call of %s goes on, to a missing token', async (_what, headers) => {
  const { status } = await send('POST', '/jobs', { ...form, ...headers });
  expect(status).toBe(401);
});

test('a link on another site may be followed', async () => {
  const headers = { Host: 'localhost:8080', 'Sec-Fetch-Site': 'cross-site' };
  expect((await send('GET', '/', headers)).status).toBe(200);
  expect((await send('GET', '/', { ...headers, Host: 'evil.example' })).status).toBe(403);
});

test('forms of other sites leave nothing in the audit log, and shut nobody out', async () => {
  const headers = { Host: '127.0.0.1', Origin: 'https://evil.example' };
  for (let i = 0; i < 12; i++)
    await send('POST', '/jobs', { ...headers, Authorization: `Bearer wrong-token-${i}` });
  expect((await api.call('GET', '/jobs')).status).toBe(200);
  expect((await api.call('GET', '/audit')).text).not.toContain('"status":403');
});
