import { jest } from '@jest/globals';
import { Api } from '../../src/cli/api.js';
import { createToken } from '../../src/cli/users.js';
import { TestApi } from './api.js';

let api: TestApi;
beforeAll(async () => {
  api = await TestApi.start();
});
afterEach(() => jest.restoreAllMocks());
afterAll(() => api.close());

test('the owner can have a token with fewer rights', async () => {
  const written: string[] = [];
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  const commands = new Api({ url: api.url, socket: api.layout.ownerSocket, token: () => '' });
  await createToken(commands, 'admin', undefined, { days: 30, role: 'user' });
  const token = /^jr_\S+$/m.exec(written.join(''))?.[0];
  const headers = { Authorization: `Bearer ${token}` };
  const me = await api.call('GET', '/users/me', undefined, headers);
  expect(me.json).toMatchObject({ user: 'admin', role: 'user', unix_user: 'runner' });
  expect((await api.call('GET', '/tokens', undefined, headers)).status).toBe(403);
});
