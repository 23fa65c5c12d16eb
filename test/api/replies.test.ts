import { createHash } from 'node:crypto';
import { NODE_NAME } from '../../src/config/layout.js';
import type { ErrorBody } from '../../src/http/error-body.js';
import { TestApi } from './api.js';

// The harness checks every reply against its schema; here each endpoint succeeds once.

let api: TestApi;
beforeAll(async () => {
  api = await TestApi.start({ JR_JOIN_PORT: '6899' });
});
afterAll(() => api.close());

async function ok(method: string, path: string, body?: unknown, status = 200) {
  const reply = await api.call(method, path, body);
  expect({ path, status: reply.status, text: reply.text }).toMatchObject({ path, status });
  return reply;
}

test('everything that shows the service, its cluster and its users', async () => {
  const paths = ['/', '/health', '/commands', '/screens', '/nodes', '/partitions', '/gpus']
    .concat('/gpus/0/history', '/metrics', '/ingest', '/ingest/jobs-file', '/tokens', '/users')
    .concat('/users/me', '/audit', '/api/nodes', '/api/jobs', '/jobs', '/datasets')
    .concat('/datasets/imports');
  for (const path of paths) await ok('GET', path);
});

test('a token, and a user’s limits', async () => {
  const made = await api.call<{ token_id: number }>('POST', '/tokens', { user: 'ulla' });
  expect(made.status).toBe(201);
  await ok('PUT', '/users/ulla/limits', { max_jobs: 3 });
  await ok('DELETE', `/tokens/${made.json.token_id}`);
  await ok('DELETE', '/users/ulla');
});

test('a GPU and a node that are closed for a while', async () => {
  await ok('POST', '/gpus/0/pause', { reason: 'a new fan' });
  await ok('POST', '/gpus/0/resume', {});
  const onNode = `/nodes/${NODE_NAME}/gpus/0`;
  const paused = await ok('POST', `${onNode}/pause`, { reason: 'a new fan' });
  expect(paused.json).toMatchObject({ node: NODE_NAME, index: 0, state: 'paused' });
  expect((await api.call('POST', `${onNode}/pause`)).status).toBe(409);
  await ok('POST', `${onNode}/resume`);
  const { json } = await api.call<{ nodes: { name: string }[] }>('GET', '/nodes');
  const name = json.nodes[0]?.name ?? '';
  await ok('POST', `/nodes/${name}/drain`);
  await ok('POST', `/nodes/${name}/resume`);
});

test('a dataset, sent both ways, and every call on it', async () => {
  const bytes = new TextEncoder().encode('some data');
  const sha = createHash('sha256').update(bytes).digest('hex');
  const put = await ok('PUT', `/datasets/${sha}?name=data.txt`, bytes, 201);
  // Scripts grep for a space after each colon.
  expect(put.text).toContain(`"sha256": "${sha}"`);
  const form = new FormData();
  form.append('file', new Blob([bytes]), 'data.txt');
  await ok('POST', '/datasets/upload', form);
  for (const path of [`/datasets/exists/${sha}`, `/datasets/${sha}`, `/datasets/${sha}/files`])
    await ok('GET', path);
  await ok('POST', `/datasets/${sha}/verify`);
  await ok('DELETE', `/datasets/${sha}`);
});

test('a job from submission to deletion', async () => {
  const fields = { gpus: 0.5, priority: 7, env: { A: '1' }, params: {} };
  const dryRun = await api.submit({ ...fields, dry_run: true });
  expect(dryRun.status).toBe(200);
  const { json, status } = await api.submit(fields);
  expect(status).toBe(201);
  const path = `/jobs/${json.job_id}`;
  for (const action of ['hold', 'release']) await ok('POST', `${path}/${action}`);
  await ok('POST', `${path}/priority`, { priority: 8 });
  api.slurm.start(json.slurm_job_id);
  api.slurm.end(json.slurm_job_id, { state: 'FAILED', exitCode: 3 });
  const ended = await ok('GET', `${path}?wait=20`);
  expect(ended.json).toMatchObject({ status: 'FAILED', exit_code: 3, failure: 'user_code' });
  await ok('GET', `${path}/result`);
  await ok('GET', `${path}/script`);
  await ok('GET', `/outputs/by_job/${json.job_id}`);
  await ok('GET', `/outputs?experiment_id=${json.experiment_id}`);
  const again = await ok('POST', `${path}/rerun`, undefined, 201);
  await ok('POST', `/jobs/${again.json.job_id}/cancel`);
  await ok('DELETE', path, undefined, 204);
});

test('a job of the queue server’s API, with `detail` in its errors', async () => {
  const config = { user_id: 'ulla', expected_time: 5, competition_id: 'c', project_id: 'p' };
  const form = new FormData();
  form.append('code', new Blob(['print(1)']), 'a.py');
  form.append('config_file', new Blob([JSON.stringify(config)]), 'config.json');
  const { json } = await api.call<{ job_id: string }>('POST', '/api/submit', form);
  await ok('GET', `/api/status/${json.job_id}`);
  await ok('GET', `/api/results/${json.job_id}`);
  const unknown = await api.call<ErrorBody & { detail: string }>('GET', '/api/status/1');
  expect(unknown.status).toBe(400);
  expect(unknown.json.detail).toBe(unknown.json.error.message);
  await ok('POST', `/api/cancel/${json.job_id}`);
});

test('an unknown field is an error everywhere', async () => {
  const replies = [
    await api.submit({ nonsense: 1 }),
    await api.call('GET', '/jobs?nonsense=1'),
    await api.call('GET', '/users/me?nonsense=1'),
    await api.call('POST', '/gpus/0/pause', { nonsense: 1 }),
  ];
  for (const { status, json } of replies) {
    expect(status).toBe(400);
    expect(json.error.code).toBe('bad_request');
    expect(json.error.details).toMatchObject({ fields: ['nonsense'] });
  }
});
