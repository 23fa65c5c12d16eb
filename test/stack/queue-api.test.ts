import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import type { ErrorCode } from '../../src/errors.js';
import { TIMED_OUT, timedOutLine } from '../../src/jobs/script/timeout.js';
import { LiveStack } from './live-stack.js';
import { refusal } from '../refusal.js';
import { until } from '../until.js';

interface QueueReply {
  job_id: string;
  node_id: number | null;
  status: string;
  queue_position: number | null;
  user_id: string;
  timeout: number;
  stdout: string;
  stderr: string;
  stdout_truncated: boolean;
  exit_code: number | null;
  failure: string | null;
  message: string | null;
  started_at: string | null;
  completed_at: string | null;
  jobrunner_job_id: number;
  error: { code: string; message: string; details?: Record<string, unknown> };
  detail: string;
}

const bash = promisify(execFile);
const secret = 'my-secret-token';
const script = `import time
print("Hello from GPU!")
time.sleep(5)
print("Job complete!")
`;
const config = (more: Record<string, string> = {}) => {
  const fields = {
    competition_id: '"comp123"',
    project_id: '"proj456"',
    user_id: '"myuser"',
    expected_time: '10  # seconds',
    token: `"${secret}"`,
    ...more,
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
};

let stack: LiveStack;
let folder: string;
let others: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'jr-queue-'));
  stack = await LiveStack.start({
    JR_SIMULATE_GPUS: '2',
    JR_MAX_TIMEOUT_MULTIPLIER: '1.5',
    JR_TRUSTED_PROXIES: 'loopback',
  });
  const token = async (fields: object) =>
    (
      await stack.call<{ token: string }>('POST', '/tokens', {
        body: JSON.stringify(fields),
        headers: { 'Content-Type': 'application/json' },
      })
    ).json.token;
  await token({ user: 'myuser', token: secret });
  others = await token({ user: 'another' });
  await token({ user: 'myuser', role: 'reader', token: 'of-a-reader' });
});
afterAll(async () => {
  await stack.remove();
  rmSync(folder, { recursive: true });
});

/**
 * Runs the queue server's own lines in bash; only host, port and job number differ.
 */
async function type(line: string, uuid = 'abc-123-uuid'): Promise<QueueReply> {
  const here = line.replace('http://localhost:8000', stack.url).replaceAll('abc-123-uuid', uuid);
  const { stdout } = await bash('bash', ['-c', here], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '' },
  });
  return JSON.parse(stdout) as QueueReply;
}

/** The apparent address of the caller. */
const from = (address: string) => ({ 'X-Forwarded-For': address });

interface Sent {
  code?: string | Buffer | undefined;
  config?: string | Buffer | undefined;
  headers?: Record<string, string>;
}

function send({ code = 'print(1)', config: yaml = config(), headers = {} }: Sent = {}) {
  const form = new FormData();
  if (code.length > 0) form.set('code', new File([code], 'my_script.py'));
  if (yaml.length > 0) form.set('config_file', new File([yaml], 'config.yaml'));
  return stack.call<QueueReply>('POST', '/api/submit', {
    body: form,
    headers: { Authorization: '', ...headers },
  });
}

const ask = (method: string, path: string, token = secret) =>
  stack.call<QueueReply>(method, path, { headers: { Authorization: `Bearer ${token}` } });

async function submit(code: string, more: Record<string, string> = {}): Promise<QueueReply> {
  const sent = await send({ code, config: config(more) });
  if (sent.status !== 200) throw new Error(sent.text);
  return sent.json;
}

/** Returns the job once it has ended. */
async function ended({ job_id: uuid, jobrunner_job_id: id }: QueueReply): Promise<QueueReply> {
  await stack.finish(id);
  return (await ask('GET', `/api/results/${uuid}`)).json;
}

test('the queue server’s own lines work unchanged', async () => {
  writeFileSync(join(folder, 'my_script.py'), script);
  writeFileSync(join(folder, 'config.yaml'), config());
  const submitted = await type(`curl -X POST http://localhost:8000/api/submit \\
  -F "code=@my_script.py" \\
  -F "config_file=@config.yaml"`);
  const { job_id: uuid } = submitted;
  expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(submitted).toMatchObject({
    node_id: 0,
    queue_position: 0,
  });
  expect(['pending', 'running']).toContain(submitted.status);
  const bearer = '-H "Authorization: Bearer my-secret-token"';
  const status = () => type(`curl http://localhost:8000/api/status/abc-123-uuid ${bearer}`, uuid);
  expect(await status()).toMatchObject({ job_id: uuid, user_id: 'myuser', exit_code: null });
  const done = await ended(submitted);
  expect(await status()).toMatchObject({ status: 'completed', queue_position: null, node_id: 0 });
  const results = await type(`curl http://localhost:8000/api/results/abc-123-uuid ${bearer}`, uuid);
  expect(results).toEqual(done);
  expect(results).toMatchObject({
    job_id: uuid,
    status: 'completed',
    stdout: 'Hello from GPU!\nJob complete!\n',
    stderr: '',
    exit_code: 0,
  });
  const late = await type(
    `curl -X POST http://localhost:8000/api/cancel/abc-123-uuid \\
  -H "Authorization: Bearer my-secret-token"`,
    uuid,
  );
  expect(late.error).toMatchObject({ code: 'conflict', details: { state: 'completed' } });
  expect(late.detail).toBe(late.error.message);
  for (const [query, isThere] of [
    ['', true],
    ['?user_id=myuser', true],
    ['?user_id=another', false],
    ['?status=completed', true],
    ['?status=running', false],
  ] as const) {
    const line = `curl http://localhost:8000/api/jobs${query} ${bearer}`;
    const { jobs } = (await type(line)) as unknown as { jobs: QueueReply[] };
    expect(jobs.map((job) => job.job_id).includes(uuid)).toBe(isThere);
  }
  const { nodes } = (await type(`curl http://localhost:8000/api/nodes ${bearer}`)) as unknown as {
    nodes: Record<string, unknown>[];
  };
  expect(nodes).toEqual([
    expect.objectContaining({ node_id: 0, name: 'box0', running_jobs: 0, queued_jobs: 0 }),
  ]);
  expect(await type('curl http://localhost:8000/')).toMatchObject({ service: 'JobRunner' });
});

describe('a job', () => {
  test('has standard output and standard error separately, and a GPU with its share', async () => {
    const code = `import os, sys
print("out"); print("err", file=sys.stderr); print("gpu", os.environ["CUDA_VISIBLE_DEVICES"] != "")
sys.exit(3)`;
    const job = await ended(await submit(code));
    expect(job).toMatchObject({
      status: 'failed',
      stdout: 'out\ngpu True\n',
      stderr: 'err\n',
      exit_code: 3,
      failure: 'user_code',
    });
    const own = await stack.call<{ cpus: number; gpus: number; user: string }>(
      'GET',
      `/jobs/${job.jobrunner_job_id}`,
    );
    expect(own.json).toMatchObject({ gpus: 1, cpus: 7, user: 'myuser' });
  });

  test('with endless output shows its last 10 MiB', async () => {
    const code = `print("first"); print("ü" * (6 * 1024 * 1024)); print("last")`;
    const job = await ended(await submit(code));
    expect(job).toMatchObject({ status: 'completed', stdout_truncated: true });
    expect(job.stdout).toMatch(/^ü+\nlast\n$/);
    expect(Buffer.byteLength(job.stdout)).toBeGreaterThan(10 * 1024 ** 2 - 4);
  });

  test('is killed after its time times the multiplier, with all its processes, before Slurm’s limit', async () => {
    const code = `import subprocess, time
print(subprocess.Popen(["sleep", "1000"]).pid, flush=True)
time.sleep(1000)`;
    const job = await ended(await submit(code, { expected_time: '4' }));
    expect(job).toMatchObject({
      status: 'failed',
      failure: 'time_limit',
      timeout: 6,
      exit_code: TIMED_OUT,
      message: expect.stringMatching(/\b6 s\b/),
    });
    expect(job.stderr).toContain(timedOutLine(6));
    // Slurm counts whole minutes, and its limit would have ended the job otherwise.
    const { json: own } = await stack.call<{ time_limit: string; status: string }>(
      'GET',
      `/jobs/${job.jobrunner_job_id}`,
    );
    expect(own).toMatchObject({ status: 'FAILED', time_limit: '0-00:02:00' });
    expect(job.stdout).toMatch(/^\d+\n$/);
    const child = job.stdout.trim();
    await until('its child process is gone', () => !existsSync(`/proc/${child}`));
  });

  test('waits in the queue, and can be cancelled while it waits or runs, even twice', async () => {
    const sleep = 'import time; print("up", flush=True); time.sleep(1000)';
    const jobs: QueueReply[] = [];
    for (let i = 0; i < 5; i++) jobs.push(await submit(sleep, { expected_time: '600' }));
    const [first, second, third, , last] = jobs as [
      QueueReply,
      QueueReply,
      QueueReply,
      QueueReply,
      QueueReply,
    ];
    await stack.until(first.jobrunner_job_id, 'RUNNING');
    await stack.until(second.jobrunner_job_id, 'RUNNING');
    const positions = async () => {
      const { json } = await stack.call<{ jobs: QueueReply[] }>('GET', '/api/jobs?user_id=myuser');
      return jobs.map((job) => json.jobs.find((one) => one.job_id === job.job_id)?.queue_position);
    };
    expect(await positions()).toEqual([0, 0, 0, 1, 2]);
    expect((await ask('GET', `/api/status/${last.job_id}`)).json).toMatchObject({
      status: 'pending',
      queue_position: 2,
      exit_code: null,
    });
    const nodes = await stack.call<{ nodes: object[] }>('GET', '/api/nodes');
    expect(nodes.json.nodes[0]).toMatchObject({ running_jobs: 2, queued_jobs: 3 });
    // Another job starts first.
    await stack.call('POST', `/jobs/${last.jobrunner_job_id}/priority`, {
      body: JSON.stringify({ priority: 1 }),
      headers: { 'Content-Type': 'application/json' },
    });
    expect(await positions()).toEqual([0, 0, 1, 2, 0]);

    const cancel = (job: QueueReply) => ask('POST', `/api/cancel/${job.job_id}`);
    expect((await cancel(third)).json).toMatchObject({ status: 'cancelled', exit_code: null });
    const running = await cancel(first);
    expect(running.json).toMatchObject({ status: 'cancelled', failure: 'cancelled' });
    const again = await cancel(first);
    expect([again.status, again.json.status]).toEqual([200, 'cancelled']);
    for (const job of jobs) await cancel(job);
    expect(await positions()).toEqual([null, null, null, null, null]);
  });

  test('of another user does not exist for the caller', async () => {
    const job = await submit('print(1)');
    for (const [method, path] of [
      ['GET', 'status'],
      ['GET', 'results'],
      ['POST', 'cancel'],
    ] as const) {
      const refused = await ask(method, `/api/${path}/${job.job_id}`, others);
      expect(refused).toMatchObject({
        status: 404,
        json: { error: refusal('not_found', 'job_id') },
      });
      expect(refused.json.detail).toBe(refused.json.error.message);
      expect((await ask(method, `/api/${path}/${job.job_id}`, 'wrong-token')).status).toBe(401);
    }
    const list = await ask('GET', '/api/jobs', others);
    expect(list.text).toBe('{"jobs":[]}');
    expect(await ask('POST', `/api/cancel/${job.job_id}`, 'of-a-reader')).toMatchObject({
      status: 403,
      json: { error: refusal('forbidden') },
    });
    expect((await ask('GET', `/api/status/${job.job_id}`, 'of-a-reader')).status).toBe(200);
    await ended(job);
  });

  test('that is sent twice with one key is one job', async () => {
    const headers = { 'Idempotency-Key': 'once' };
    const first = await send({ headers });
    const second = await send({ headers });
    expect(second.json.job_id).toBe(first.json.job_id);
    await ended(first.json);
  });
});

describe('an unusable request', () => {
  test.each<[string, Sent, number, ErrorCode, string]>([
    ['no code', { code: '' }, 400, 'bad_request', 'code'],
    ['no config', { config: '' }, 400, 'bad_request', 'config_file'],
    ['invalid YAML', { config: 'a: [1' }, 400, 'bad_request', 'config_file'],
    ['a list', { config: '- 1\n' }, 400, 'bad_request', 'config_file'],
    ['bytes', { config: Buffer.from([0xff, 0xfe, 0]) }, 400, 'bad_request', 'config_file'],
    ['depth', { config: '['.repeat(16_000) }, 400, 'bad_request', 'config_file'],
    ['too much', { config: `#${'x'.repeat(17_000)}` }, 413, 'too_large', 'config_file'],
    ['too much code', { code: `#${'x'.repeat(1024 ** 2)}` }, 413, 'too_large', 'code'],
    ['an unknown field', { config: config({ gpu: '1' }) }, 400, 'bad_request', 'gpu'],
    ['a field twice', { config: config() + 'user_id: x\n' }, 400, 'bad_request', 'config_file'],
    ['no user', { config: config().replace(/user_id.*/, '') }, 400, 'bad_request', 'user_id'],
    [
      'a time of 0',
      { config: config({ expected_time: '0' }) },
      400,
      'bad_request',
      'expected_time',
    ],
    [
      'an infinite time',
      { config: config({ expected_time: '99999999' }) },
      422,
      'unprocessable',
      'expected_time',
    ],
    ['a wrong token', { config: config({ token: 'wrong-token' }) }, 401, 'unauthorized', 'token'],
    ['no token', { config: config().replace(/token.*/, '') }, 401, 'unauthorized', 'token'],
    ['another’s id', { config: config({ user_id: 'another' }) }, 403, 'forbidden', 'user_id'],
    ['a reader', { config: config({ token: 'of-a-reader' }) }, 403, 'forbidden', 'token'],
  ])('%s is refused', async (_what, sent, status, code, field) => {
    const refused = await send({ ...sent, headers: from('192.0.2.7') });
    expect(refused).toMatchObject({ status, json: { error: refusal(code, field) } });
    expect(refused.json.detail).toBe(refused.json.error.message);
    expect(refused.text).not.toContain(secret);
  });

  test('an empty file, an unknown field or an incomplete form', async () => {
    const wrong = (field: string) => ({
      status: 400,
      json: { error: refusal('bad_request', field) },
    });
    const post = (body: FormData | string) =>
      stack.call<QueueReply>('POST', '/api/submit', { body });
    const form = new FormData();
    form.set('code', new File([], 'my_script.py'));
    form.set('config_file', new File([config()], 'config.yaml'));
    expect(await post(form)).toMatchObject(wrong('code'));
    form.set('code', 'print(1)');
    expect(await post(form)).toMatchObject(wrong('code'));
    form.set('gpus', '8');
    expect(await post(form)).toMatchObject(wrong('gpus'));
    expect(await post('{}')).toMatchObject(wrong('code'));
  });

  test('an unknown job number', async () => {
    const unknown = await ask('GET', '/api/status/00000000-0000-4000-8000-000000000000');
    expect(unknown).toMatchObject({ status: 404, json: { error: refusal('not_found', 'job_id') } });
    for (const [path, field] of [
      ['status/17', 'job_id'],
      ['jobs?status=done', 'status'],
      ['jobs?colour=red', 'colour'],
    ] as const)
      expect(await ask('GET', `/api/${path}`)).toMatchObject({
        status: 400,
        json: { error: refusal('bad_request', field) },
      });
  });

  test('without a valid token is refused, and the audit log has the refusals', async () => {
    for (const path of ['status/x', 'results/x', 'jobs', 'nodes']) {
      const refused = await stack.call<QueueReply>('GET', `/api/${path}`, {
        headers: { Authorization: '' },
      });
      expect(refused.status).toBe(401);
    }
    const headers = from('198.51.100.9');
    const guess = async (i: number) =>
      (await send({ config: config({ token: `wrong-token-${i}` }), headers })).status;
    const codes = [];
    for (let i = 0; i < 11; i++) codes.push(await guess(i));
    expect(codes).toEqual([...Array<number>(10).fill(401), 429]);
    const audit = await stack.call('GET', '/audit?limit=1000');
    expect(audit.text).toContain('198.51.100.9');
    expect(audit.text).not.toContain('wrong-token');
    expect(audit.text).toMatch(/"subject":"job \d+ of myuser"/);
  });
});

describe('a submission', () => {
  const boundary = 'xyz';
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="code"; filename="my_script.py"\r\n\r\n`;

  /** Begins to send an endless form. */
  function begin(headers: Record<string, string>) {
    const sending = request(`${stack.url}/api/submit`, {
      method: 'POST',
      headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}`, ...headers },
    });
    // The service closes a refused request while it is sent.
    sending.on('error', () => undefined);
    const answered = once(sending, 'response').then(async ([response]) => {
      const reply = response as IncomingMessage;
      return { status: reply.statusCode, headers: reply.headers, text: await text(reply) };
    });
    sending.write(head);
    return { sending, answered };
  }

  test('with a wrong token in its header is refused before its form is read', async () => {
    const { sending, answered } = begin({
      ...from('192.0.2.20'),
      Authorization: 'Bearer wrong-token',
    });
    const { status, text: said } = await answered;
    expect([status, said]).toEqual([401, expect.stringContaining('"detail":"token: ')]);
    sending.destroy();
  });

  test('is not read to its end when it announces or reaches too large a size', async () => {
    const announced = begin({ ...from('192.0.2.21'), 'Content-Length': '12000000' });
    expect((await announced.answered).status).toBe(413);
    announced.sending.destroy();
    const endless = begin(from('192.0.2.21'));
    let isAnswered = false;
    void endless.answered.then(() => (isAnswered = true));
    let sent = 0;
    for (; !isAnswered && sent < 300_000_000; sent += 65_536)
      await new Promise((resolve) => endless.sending.write(Buffer.alloc(65_536, 'x'), resolve));
    expect((await endless.answered).status).toBe(413);
    expect(sent).toBeLessThan(200_000_000);
    endless.sending.destroy();
  });

  test('without a header counts against a limit of simultaneous forms, and one with a header does not', async () => {
    const headers = from('192.0.2.22');
    const held = Array.from({ length: 5 }, () => begin(headers));
    const refused = await Promise.race(held.map(({ answered }) => answered));
    expect(refused).toMatchObject({ status: 429, headers: { 'retry-after': '2' } });
    const known = { ...headers, Authorization: `Bearer ${secret}` };
    expect((await send({ code: 'print(1)', headers: known })).status).toBe(200);
    expect((await send({ headers: from('192.0.2.23') })).status).toBe(200);
    for (const { sending } of held) sending.destroy();
    // The service notices the ended connections a moment later.
    const next = await until('the address is accepted again', async () => {
      const { status } = await send({ headers });
      return status !== 429 && status;
    });
    expect(next).toBe(200);
  });
});

test('an admin can submit for any user', async () => {
  const { json } = await send({ config: config({ token: stack.token }) });
  expect(json.user_id).toBe('myuser');
  await ended(json);
});
