import { execa } from 'execa';
import { statSync } from 'node:fs';
import { request } from 'node:http';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import type { IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { newTokenReplySchema, ownUserReplySchema } from '../../src/auth/replies.js';
import { Api } from '../../src/cli/api.js';
import { readJobUsers } from '../../src/config/unix-users.js';
import { TestApi } from './api.js';

let api: TestApi;
afterEach(() => api.close());

/** Sends wrong tokens as a job of that Unix user does. @returns the statuses */
async function guessAsJob(unixUser: string, count: number, headers: string[] = []) {
  const user = readJobUsers().get(unixUser);
  if (user === undefined) throw new Error(`there is no Unix user ${unixUser}`);
  const { stdout } = await execa(
    'bash',
    [
      '-c',
      `for ((i = 0; i < ${count}; i++)); do
         curl -s -o /dev/null -w '%{http_code}\\n' "$@" -H "Authorization: Bearer wrong-token-$i" "$0/jobs"
       done`,
      api.url,
      ...headers.flatMap((header) => ['-H', header]),
    ],
    { uid: user.uid, gid: user.gid, cwd: '/' },
  );
  return stdout.split('\n').map(Number);
}

const tenWrong = [...Array<number>(10).fill(401), 429, 429];

describe('a job that sends wrong tokens from this machine', () => {
  beforeEach(async () => {
    api = await TestApi.start({ JR_TRUSTED_PROXIES: 'loopback' });
  });

  test('is slowed down, and blocks neither root nor other jobs', async () => {
    expect(await guessAsJob('runner', 12)).toEqual(tenWrong);
    // Nobody is known yet: these are the first calls of their senders.
    expect((await api.call('GET', '/jobs')).status).toBe(200);
    expect(await guessAsJob('jr-job1', 1)).toEqual([401]);
  });

  test('cannot pretend another address, even if proxies on this machine are trusted', async () => {
    const pretended = ['X-Forwarded-For: 198.51.100.7'];
    expect(await guessAsJob('runner', 12, pretended)).toEqual(tenWrong);
    const headers = { 'X-Forwarded-For': '198.51.100.7' };
    expect((await api.call('GET', '/jobs', undefined, headers)).status).toBe(200);
    const audit = await api.call('GET', '/audit');
    expect(audit.text).toContain('127.0.0.1');
    expect(audit.text).not.toContain('198.51.100.7');
  });
});

describe('X-Forwarded-For', () => {
  const headers = { 'X-Forwarded-For': '198.51.100.7' };

  test.each([
    ['127.0.0.1', '198.51.100.7'],
    ['192.0.2.0/24', '127.0.0.1'],
    ['', '127.0.0.1'],
  ])('with JR_TRUSTED_PROXIES=%s leads to the address %s', async (proxies, address) => {
    api = await TestApi.start({ JR_TRUSTED_PROXIES: proxies });
    await api.call('POST', '/tokens', { user: 'ulla' }, headers);
    const { json } = await api.call<{ audit: { address: string }[] }>('GET', '/audit');
    expect(json.audit[0]?.address).toBe(address);
  });
});

describe('the owner’s socket', () => {
  beforeEach(async () => {
    api = await TestApi.start();
  });

  async function overSocket(path: string, headers: Record<string, string> = {}) {
    const sending = request({ socketPath: api.layout.ownerSocket, path, headers }).end();
    const [response] = (await once(sending, 'response')) as [IncomingMessage];
    return { status: response.statusCode, text: await text(response) };
  }

  test('is in a closed folder and needs no token', async () => {
    expect(statSync(dirname(api.layout.ownerSocket)).mode & 0o777).toBe(0o700);
    const { status, text: said } = await overSocket('/users/me');
    expect([status, said]).toEqual([200, expect.stringContaining('"user":"admin"')]);
    expect((await fetch(`${api.url}/users/me`)).status).toBe(401);
  });

  test('checks every Authorization header that is sent', async () => {
    const headers = await api.tokenOf('ulla');
    expect((await overSocket('/users/me', headers)).text).toContain('"user":"ulla"');
    for (const Authorization of ['Bearer wrong-token', 'Basic YWRtaW46', ''])
      expect((await overSocket('/users/me', { Authorization })).status).toBe(401);
  });

  test('is what the commands use, and the audit log names it', async () => {
    const never = () => {
      throw new Error('no token is needed');
    };
    const config = { url: api.url, socket: api.layout.ownerSocket, token: never };
    const me = await new Api(config).get('/users/me', ownUserReplySchema);
    expect(me).toMatchObject({ user: 'admin', role: 'admin' });
    await new Api(config).post('/tokens', { user: 'ulla' }, newTokenReplySchema);
    const { json } = await api.call<{ audit: object[] }>('GET', '/audit');
    expect(json.audit).toContainEqual(
      expect.objectContaining({ user: 'admin', address: 'socket', path: '/tokens', status: 201 }),
    );
  });
});
