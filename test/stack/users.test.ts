import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { LiveStack, type JobReply } from './live-stack.js';
import { refusal } from '../refusal.js';
import { until } from '../until.js';

const mainJs = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

interface TokenReply {
  token_id: number;
  token: string;
  user: string;
  state: string;
  expires_at: string | null;
}

let stack: LiveStack;
let alice: string;
let bob: string;

beforeAll(async () => {
  stack = await LiveStack.start({
    JR_SIMULATE_GPUS: '4',
    JR_USER_MAX_JOBS: '6',
    JR_USER_MAX_GPUS: '1.5',
    JR_MEASURE_INTERVAL: '1',
    JR_TRUSTED_PROXIES: 'loopback',
  });
  alice = (await create('alice')).token;
  bob = (await create('bob')).token;
});
afterAll(() => stack.remove());

async function create(user: string, more: Record<string, unknown> = {}): Promise<TokenReply> {
  const made = await as<TokenReply>(stack.token, 'POST', '/tokens', { user, ...more });
  if (made.status !== 201) throw new Error(made.text);
  return made.json;
}

/**
 * @param address the apparent caller, so that one test's wrong tokens do not slow down another test
 */
function as<T = JobReply>(
  token: string,
  method: string,
  path: string,
  body?: object,
  address = '192.0.2.1',
) {
  return stack.call<T>(method, path, {
    ...(body !== undefined && { body: JSON.stringify(body) }),
    headers: {
      Authorization: `Bearer ${token}`,
      'Content-Type': 'application/json',
      'X-Forwarded-For': address,
    },
  });
}

/** Cancels the user's jobs and waits until they are gone. */
async function end(token: string, ...ids: number[]): Promise<void> {
  for (const id of ids) await as(token, 'POST', `/jobs/${id}/cancel`);
  for (const id of ids) await as(token, 'GET', `/jobs/${id}?wait=60`);
}

/**
 * Returns the waiting job once Slurm, after other reasons, names the job's association as the
 * cause.
 */
async function untilHeldBack(token: string, id: number) {
  return until(`an association keeps job ${id} waiting`, async (saw) => {
    const { json } = await as<JobReply & { reason_text: string }>(token, 'GET', `/jobs/${id}`);
    expect(json).toMatchObject({ status: 'PENDING' });
    saw(json.reason);
    return json.reason?.startsWith('Assoc') === true && json;
  });
}

const sleep = { command_key: 'shell', command: 'sleep 600', mem_gb: 0.1 };

describe('tokens', () => {
  test('open the service until they are revoked, and none is stored or logged', async () => {
    const { token, token_id: id } = await create('carol', { token: 'my-secret-token' });
    expect(token).toBe('my-secret-token');
    expect((await as(token, 'GET', '/jobs')).status).toBe(200);
    const listed = await as(stack.token, 'GET', '/tokens');
    expect(listed.text).toContain('"carol"');
    expect(listed.text).not.toContain(token);
    expect((await as(stack.token, 'DELETE', `/tokens/${id}`)).status).toBe(200);
    expect((await as(token, 'GET', '/jobs')).status).toBe(401);
    const again = await as(stack.token, 'DELETE', `/tokens/${id}`);
    expect(again.status).toBe(409);
    for (const file of ['db/jr_slurm.db', 'db/jr_slurm.db-wal', 'logs/api.log'])
      expect(readFileSync(join(stack.root, file)).includes(token)).toBe(false);
  });

  test('once revoked, end a log that is being followed', async () => {
    const { token, token_id: id } = await create('mallory');
    const job = await as(token, 'POST', '/jobs', { ...sleep, command: 'echo begun; sleep 600' });
    const response = await fetch(`${stack.url}/jobs/${job.json.job_id}/log/stream`, {
      headers: { Authorization: `Bearer ${token}`, 'X-Forwarded-For': '192.0.2.1' },
    });
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      if (text.includes('begun')) await as(stack.token, 'DELETE', `/tokens/${id}`);
    }
    expect(text).toContain('begun');
    expect(text).not.toContain('event: end');
    const { json } = await as(stack.token, 'GET', `/jobs/${job.json.job_id}`);
    // Not because the job ended.
    expect(json.status).toMatch(/^(PENDING|RUNNING)$/);
    await end(stack.token, job.json.job_id);
  });

  test('expire', async () => {
    const { token, expires_at: at } = await create('dave', { days: 1 });
    expect(Date.parse(at ?? '') - Date.now()).toBeGreaterThan(23 * 3600 * 1000);
    const past = `UPDATE tokens SET expires_at = 1 WHERE user = 'dave'`;
    const { default: Database } = await import('better-sqlite3');
    const db = new Database(join(stack.root, 'db', 'jr_slurm.db'));
    db.prepare(past).run();
    db.close();
    expect((await as(token, 'GET', '/jobs')).status).toBe(401);
  });

  test.each([
    [{ user: 'no spaces' }, 'user'],
    [{ user: 'x', token: 'short' }, 'token'],
    [{ user: 'x', days: -1 }, 'days'],
    [{ user: 'x', role: 'root' }, 'role'],
    [{}, 'user'],
  ])('%j is refused', async (body, field) => {
    const refused = await as(stack.token, 'POST', '/tokens', body);
    expect(refused).toMatchObject({ status: 400, json: { error: refusal('bad_request', field) } });
  });

  test('one that is already in use is refused, since two users would be indistinguishable', async () => {
    const refused = await as(stack.token, 'POST', '/tokens', { user: 'eve', token: alice });
    expect(refused).toMatchObject({ status: 409, json: { error: refusal('conflict', 'token') } });
  });

  test('are for admins alone', async () => {
    expect((await as(alice, 'GET', '/tokens')).status).toBe(403);
    expect((await as(alice, 'POST', '/tokens', { user: 'eve' })).status).toBe(403);
    expect((await as(alice, 'GET', '/audit')).status).toBe(403);
    expect((await as(alice, 'GET', '/ingest/jobs-file')).status).toBe(403);
    expect((await as(alice, 'POST', '/gpus/0/pause', {})).status).toBe(403);
    expect((await as(alice, 'POST', '/nodes/box0/drain')).status).toBe(403);
    expect((await as(alice, 'PUT', '/users/alice/limits', { max_jobs: 0 })).status).toBe(403);
  });

  test('that are tried one after another slow down only the guesser', async () => {
    const guesser = '198.51.100.7';
    const { token: known } = await create('olga', { token: 'olgas-own-token' });
    const { token: unknown } = await create('oscar', { token: 'oscars-own-token' });
    expect((await as(known, 'GET', '/jobs', undefined, guesser)).status).toBe(200);
    const guess = (i: number) => as(`wrong-token-${i}`, 'GET', '/jobs', undefined, guesser);
    const codes = [];
    for (let i = 0; i < 12; i++) codes.push((await guess(i)).status);
    expect(codes).toEqual([...Array<number>(10).fill(401), 429, 429]);
    const slowed = await guess(99);
    expect(Number(slowed.headers.get('retry-after'))).toBeGreaterThan(0);
    // A short token from there is not checked either, unless it was seen there before; otherwise
    // guessing would continue at full speed.
    expect((await as(unknown, 'GET', '/jobs', undefined, guesser)).status).toBe(429);
    expect((await as(unknown, 'GET', '/jobs', undefined, '198.51.100.8')).status).toBe(200);
    await stack.killApi();
    for (let i = 0; i < 12; i++) await guess(i);
    expect((await guess(99)).status).toBe(429);
    expect((await as(known, 'GET', '/jobs', undefined, guesser)).status).toBe(200);
    // Nobody guesses a token that JobRunner made.
    expect((await as(alice, 'GET', '/jobs', undefined, guesser)).status).toBe(200);
  });
});

describe('a user', () => {
  test('sees and controls their own jobs, and nobody else’s', async () => {
    const made = await as(alice, 'POST', '/jobs', {
      command_key: 'shell',
      command: 'echo mine; echo x > $JR_OUTPUT_DIR/m.pth',
      mem_gb: 0.1,
      experiment_id: 'shared-name',
    });
    const { job_id: id } = made.json;
    expect(made.json).toMatchObject({ user: 'alice' });
    await as(alice, 'GET', `/jobs/${id}?wait=60`);
    for (const path of ['', '/log', '/log/stream', '/result', '/script'])
      expect((await as(bob, 'GET', `/jobs/${id}${path}`)).status).toBe(404);
    for (const path of ['cancel', 'hold', 'release', 'requeue', 'rerun'])
      expect((await as(bob, 'POST', `/jobs/${id}/${path}`)).status).toBe(404);
    expect((await as(bob, 'POST', `/jobs/${id}/priority`, { priority: 1 })).status).toBe(404);
    expect((await as(bob, 'DELETE', `/jobs/${id}`)).status).toBe(404);
    for (const path of [
      `/outputs/by_job/${id}`,
      '/outputs?experiment_id=shared-name',
      '/outputs/download?experiment_id=shared-name&output_id=m.pth',
      `/outputs/download_by_job?job_id=${id}&rel_path=m.pth`,
    ]) {
      expect((await as(bob, 'GET', path)).status).toBe(404);
      expect((await as(alice, 'GET', path)).status).toBe(200);
      const named = path.includes('experiment_id') ? `${path}&user=alice` : path;
      expect((await as(stack.token, 'GET', named)).status).toBe(200);
    }
    const listOf = async (token: string, query = '') =>
      (await as<{ jobs: JobReply[] }>(token, 'GET', `/jobs${query}`)).json.jobs.map(
        (j) => j.job_id,
      );
    expect(await listOf(alice)).toContain(id);
    expect(await listOf(bob)).not.toContain(id);
    expect(await listOf(bob, '?user=alice')).not.toContain(id);
    expect(await listOf(stack.token, '?user=alice')).toContain(id);
    expect(await listOf(stack.token, '?user=bob')).not.toContain(id);
  });

  test('shares neither idempotency keys nor duplicates with another user', async () => {
    const fields = { command_key: 'shell', command: 'true', mem_gb: 0.1, dedup: true };
    const submit = (token: string) =>
      stack.call('POST', '/jobs', {
        body: JSON.stringify(fields),
        headers: {
          Authorization: `Bearer ${token}`,
          'Content-Type': 'application/json',
          'Idempotency-Key': 'the-same',
        },
      });
    const [first, second] = [await submit(alice), await submit(bob)];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.json.job_id).not.toBe(first.json.job_id);
    expect((await submit(alice)).json.job_id).toBe(first.json.job_id);
    await as(alice, 'GET', `/jobs/${first.json.job_id}?wait=60`);
    await as(bob, 'GET', `/jobs/${second.json.job_id}?wait=60`);
  });

  test('reads all datasets and deletes only their own', async () => {
    const content = 'of alice';
    const sha = createHash('sha256').update(content).digest('hex');
    const put = await stack.call('PUT', `/datasets/${sha}`, {
      body: content,
      headers: { Authorization: `Bearer ${alice}` },
    });
    expect(put.json).toMatchObject({ owner: 'alice' });
    expect((await as(bob, 'GET', `/datasets/${sha}`)).status).toBe(200);
    const refused = await as(bob, 'DELETE', `/datasets/${sha}`);
    expect(refused).toMatchObject({ status: 403, json: { error: refusal('forbidden') } });
    expect(refused.json.error.details).toEqual({ owner: 'alice' });
    expect((await as(alice, 'DELETE', `/datasets/${sha}`)).status).toBe(200);
  });

  test('may be a reader, who cannot change anything', async () => {
    const { token } = await create('alice', { role: 'reader' });
    expect((await as(token, 'GET', '/jobs')).status).toBe(200);
    expect((await as(token, 'POST', '/jobs', sleep)).status).toBe(403);
    expect((await as(token, 'DELETE', '/jobs/1')).status).toBe(403);
  });

  test('sees the values of a job’s variables as its owner or an admin, not as a reader', async () => {
    const fields = { command_key: 'shell', command: 'true', env: { API_KEY: 'k-5ecret' } };
    const submitted = await as(alice, 'POST', '/jobs', fields);
    expect(submitted.json).toMatchObject({ env: fields.env });
    const { job_id: id } = submitted.json;
    const { token: reader } = await create('alice', { role: 'reader' });
    const pages = ['', '/result', '/script'].map((part) => `/jobs/${id}${part}`);
    for (const path of ['/jobs?limit=1', ...pages]) {
      for (const token of [alice, stack.token])
        expect((await as(token, 'GET', path)).text).toContain('k-5ecret');
      const masked = (await as(reader, 'GET', path)).text;
      expect(masked).toMatch(/API_KEY"?[:=]["']\*\*\*["']/);
      expect(masked).not.toContain('k-5ecret');
    }
    await end(alice, id);
  });

  test('sees only the presence of other users’ jobs on GPUs', async () => {
    const { json } = await as(bob, 'POST', '/jobs', { ...sleep, gpus: 1, name: 'secret-plan' });
    await stack.until(json.job_id, 'RUNNING');
    // JobRunner asks Slurm for its GPU a moment later.
    const shown = await until(`job ${json.job_id} is shown on its GPU`, async (saw) => {
      const gpus = await as(alice, 'GET', '/gpus');
      saw(gpus.text);
      return gpus.text.includes(`"job_id":${json.job_id}`) && gpus;
    });
    expect(shown.text).not.toContain('secret-plan');
    expect((await as(bob, 'GET', '/gpus')).text).toContain('secret-plan');
    await end(bob, json.job_id);
  });
});

describe('limits', () => {
  test('of several new users allow all their first jobs, sent at once', async () => {
    const names = ['gina', 'hugo', 'ivan', 'judy'];
    const tokens = await Promise.all(names.map(async (name) => (await create(name)).token));
    const submit = (token: string) => as(token, 'POST', '/jobs', { ...sleep, command: 'true' });
    const replies = await Promise.all(tokens.map(submit));
    expect(replies.map(({ text }) => text)).toEqual(
      names.map((name) => expect.stringContaining(`"user":"${name}"`)),
    );
    for (const { json } of replies)
      expect((await stack.finish(json.job_id)).status).toBe('COMPLETED');
  });

  test('of jobs refuse one more job at once, and do not apply to admins', async () => {
    const ids: number[] = [];
    for (let i = 0; i < 6; i++) ids.push((await as(bob, 'POST', '/jobs', sleep)).json.job_id);
    const refused = await as(bob, 'POST', '/jobs', sleep);
    expect(refused).toMatchObject({ status: 429, json: { error: refusal('limit_reached') } });
    expect(refused.json.error.details).toEqual({ limit: 'max_jobs', max: 6 });
    const mine = await as(stack.token, 'POST', '/jobs', sleep);
    expect(mine.status).toBe(201);
    await end(bob, ...ids.slice(0, 1));
    const after = await as(bob, 'POST', '/jobs', sleep);
    expect(after.status).toBe(201);
    await end(bob, ...ids.slice(1), after.json.job_id);
    await end(stack.token, mine.json.job_id);
  });

  test('of GPUs keep a job waiting though GPUs are free, with the reason', async () => {
    const first = await as(alice, 'POST', '/jobs', { ...sleep, gpus: 1 });
    await stack.until(first.json.job_id, 'RUNNING');
    const second = await as(alice, 'POST', '/jobs', { ...sleep, gpus: 1 });
    const never = await as(alice, 'POST', '/jobs', { ...sleep, gpus: 2 });
    expect(never).toMatchObject({ status: 422, json: { error: refusal('unprocessable', 'gpus') } });
    expect(never.json.error.details).toMatchObject({ asked: 2, limit: 1.5 });
    const half = await as(alice, 'POST', '/jobs', { ...sleep, gpus: 0.5 });
    await stack.until(half.json.job_id, 'RUNNING');
    const waiting = await untilHeldBack(alice, second.json.job_id);
    expect(waiting.reason).toMatch(/^AssocGrp/);
    expect(waiting.reason_text).toMatch(/user’s jobs .*GPUs/);
    await end(alice, first.json.job_id);
    await stack.until(second.json.job_id, 'RUNNING');
    await end(alice, second.json.job_id, half.json.job_id);
  });

  test('of running jobs and stored bytes can be one user’s own', async () => {
    const set = await as(stack.token, 'PUT', '/users/bob/limits', { max_running: 1 });
    expect(set.json).toMatchObject({ limits: { max_running: 1, max_jobs: 6 } });
    const first = await as(bob, 'POST', '/jobs', sleep);
    const second = await as(bob, 'POST', '/jobs', sleep);
    await stack.until(first.json.job_id, 'RUNNING');
    await untilHeldBack(bob, second.json.job_id);
    // Slurm gets it at once, not with bob's next job.
    await as(stack.token, 'PUT', '/users/bob/limits', { max_running: 2 });
    await stack.until(second.json.job_id, 'RUNNING');
    await end(bob, first.json.job_id, second.json.job_id);

    // Not earlier: bob's jobs keep more than that on the disk, and would be refused.
    await as(stack.token, 'PUT', '/users/bob/limits', { max_stored_bytes: 1000 });
    const content = 'x'.repeat(2000);
    const sha = createHash('sha256').update(content).digest('hex');
    const refused = await stack.call('PUT', `/datasets/${sha}`, {
      body: content,
      headers: { Authorization: `Bearer ${bob}` },
    });
    expect(refused).toMatchObject({ status: 413, json: { error: refusal('quota_exceeded') } });
    expect(refused.json.error.details).toMatchObject({ limit: 'max_stored_bytes', max: 1000 });
    expect((await as(bob, 'GET', `/datasets/${sha}`)).status).toBe(404);
  });
});

/** Sends a body without a length, chunk by chunk, until an answer arrives. */
class Sending {
  readonly answered: Promise<{ status: number | undefined; text: string }>;
  readonly #request;
  sent = 0;
  isAnswered = false;

  constructor(token: string, method: string, path: string, headers: Record<string, string> = {}) {
    const authorized = { Authorization: `Bearer ${token}`, 'Transfer-Encoding': 'chunked' };
    this.#request = request(`${stack.url}${path}`, {
      method,
      headers: { ...authorized, ...headers },
    });
    this.answered = once(this.#request, 'response').then(async ([reply]) => {
      this.isAnswered = true;
      const { statusCode: status } = reply as IncomingMessage;
      return { status, text: await text(reply as IncomingMessage) };
    });
    // After its answer, the rest of a refused body may be cut off; before the answer, `answered`
    // shows a failure.
    this.#request.on('error', () => undefined);
  }

  async send(bytes: number | string): Promise<void> {
    const chunk = typeof bytes === 'string' ? bytes : Buffer.alloc(bytes, 'x');
    this.sent += chunk.length;
    await new Promise((resolve) => this.#request.write(chunk, resolve));
  }

  async sendUntilAnswered(most: number): Promise<void> {
    while (!this.isAnswered && this.sent < most) await this.send(64 * 1024);
  }

  end(): void {
    this.#request.end();
  }
}

describe('an upload without a length', () => {
  const quota = 2_000_000;
  const incoming = () => readdirSync(join(stack.root, 'datasets/.incoming'));
  let grace: string;

  beforeAll(async () => {
    grace = (await create('grace')).token;
    await as(stack.token, 'PUT', '/users/grace/limits', { max_stored_bytes: quota });
  });

  const boundary = { 'Content-Type': 'multipart/form-data; boundary=xyz' };
  const head = '--xyz\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n';
  test.each([
    ['PUT', `/datasets/${'a'.repeat(64)}`, {}, ''],
    ['POST', '/datasets/upload', boundary, head],
  ])('by %s is refused once it exceeds the user’s quota', async (...one) => {
    const [method, path, headers, first] = one;
    const sending = new Sending(grace, method, path, headers);
    await sending.send(first);
    // Far more than the quota and the sockets' buffers.
    await sending.sendUntilAnswered(500_000_000);
    const { status, text: said } = await sending.answered;
    expect([status, said]).toEqual([413, expect.stringContaining('"quota_exceeded"')]);
    expect(sending.sent).toBeLessThan(400_000_000);
    sending.end();
    expect(incoming()).toEqual([]);
  });

  test('counts simultaneous uploads', async () => {
    const path = (digit: string) => `/datasets/${digit.repeat(64)}`;
    const first = new Sending(grace, 'PUT', path('b'));
    await first.send(quota * 0.7);
    await until('the first upload begins', () => incoming().length > 0);
    const second = new Sending(grace, 'PUT', path('c'));
    await second.send(quota * 0.7);
    const { status } = await Promise.race([first.answered, second.answered]);
    expect(status).toBe(413);
    for (const sending of [first, second]) sending.end();
    await Promise.all([first.answered, second.answered]);
    expect(incoming()).toEqual([]);
    // A refused upload takes no room.
    const content = 'y'.repeat(quota * 0.4);
    const sha = createHash('sha256').update(content).digest('hex');
    const kept = await stack.call('PUT', `/datasets/${sha}`, {
      body: content,
      headers: { Authorization: `Bearer ${grace}` },
    });
    expect(kept.status).toBe(201);
  });
});

test('the audit log has all changes with their users, and no secret', async () => {
  const { json, text } = await as<{ audit: Record<string, unknown>[] }>(
    stack.token,
    'GET',
    '/audit?limit=1000',
  );
  expect(json.audit).toContainEqual(
    expect.objectContaining({ user: 'bob', method: 'POST', path: '/jobs', status: 201 }),
  );
  expect(json.audit).toContainEqual(
    expect.objectContaining({ user: 'admin', path: '/tokens', subject: 'token 1 of alice' }),
  );
  expect(json.audit).toContainEqual(
    expect.objectContaining({ user: null, status: 401, address: '198.51.100.7' }),
  );
  for (const token of [alice, bob, stack.token]) expect(text).not.toContain(token);
});

test('the commands have the same effect', async () => {
  const cli = async (args: string[], input = '') => {
    const { JR_ROOT = '', JR_PORT = '' } = stack.env;
    const result = await execa(process.execPath, [mainJs, ...args], {
      env: { PATH: process.env['PATH'] ?? '', JR_ROOT, JR_PORT },
      extendEnv: false,
      reject: false,
      input,
    });
    return `${result.stdout}${result.stderr}`;
  };
  const made = await cli(['token', 'create', 'frank', '-', '--days', '7'], 'a-token-of-frank\n');
  expect(made).toMatch(
    /^Token \d+ of frank \(user, expires \d{4}-\d\d-\d\d\), shown only once:\na-token-of-frank$/,
  );
  expect((await as('a-token-of-frank', 'GET', '/users/me')).json).toMatchObject({
    user: 'frank',
    role: 'user',
  });
  expect(await cli(['token', 'list'])).toMatch(/\d+ +frank +user +valid/);
  expect(await cli(['user', 'limit', 'frank', '--jobs', '3', '--stored-gb', '0.5'])).toBe(
    'frank: 3 jobs, any running, 1.5 GPUs at once, 0.5 GiB stored',
  );
  expect(await cli(['user', 'list'])).toMatch(/frank +0 of 3 +0 +1.5 +0.0 GiB of 0.5 GiB/);
  expect(await cli(['token', 'revoke', 'a-token-of-frank'])).toMatch(
    /^Token \d+ of frank is revoked/,
  );
  expect((await as('a-token-of-frank', 'GET', '/jobs')).status).toBe(401);
  expect(await cli(['token', 'revoke', '99'])).toMatch(/there is no token 99/);
  expect(await cli(['audit', '--limit', '20'])).toMatch(
    /admin .*POST \/tokens\/revoke +token \d+ of frank +200/,
  );
});

test('a running job over its user’s storage is ended, also if it hides its files', async () => {
  const { token } = await create('dave');
  await as(stack.token, 'PUT', '/users/dave/limits', { max_stored_bytes: 4 * 2 ** 20 });
  const hides = 'mkdir -m 0700 closed; head -c 6M /dev/urandom >closed/data; sleep 600';
  const { json } = await as(token, 'POST', '/jobs', { ...sleep, command: hides });
  const ended = await as(token, 'GET', `/jobs/${json.job_id}?wait=120`);
  expect(ended.json).toMatchObject({ status: 'CANCELLED', failure: 'storage' });
  const refused = await as(token, 'POST', '/jobs', sleep);
  expect(refused).toMatchObject({ status: 413, json: { error: { code: 'quota_exceeded' } } });
  await as(token, 'DELETE', `/jobs/${json.job_id}`);
  expect((await as(token, 'POST', '/jobs', { ...sleep, command: 'true' })).status).toBe(201);
});
