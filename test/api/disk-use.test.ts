import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { until } from '../until.js';
import { TestApi } from './api.js';

const MiB = 2 ** 20;
const limit = 4 * MiB;

let api: TestApi;
let alice: { Authorization: string };

beforeEach(async () => {
  api = await TestApi.start({ JR_MEASURE_INTERVAL: '1', JR_MAX_LOG_GB: '0.01' });
  alice = await api.tokenOf('alice');
  await api.call('PUT', '/users/alice/limits', { max_stored_bytes: limit });
});
afterEach(() => api.close());

const shell = { command_key: 'shell', command: 'true' };
const submit = () => api.call('POST', '/jobs', shell, alice);
const show = async (id: number) => (await api.call('GET', `/jobs/${id}`, undefined, alice)).json;

/** Writes random bytes, as a job would. */
function write(path: string, bytes: number): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, randomBytes(bytes));
}

/** Starts a job of alice's. */
async function start() {
  const { json } = await submit();
  api.slurm.start(json.slurm_job_id);
  await until('the job runs', async () => (await show(json.job_id)).status === 'RUNNING');
  return json;
}

test('files and the log of ended jobs count, and a submission over the limit names the way out', async () => {
  const job = await start();
  write(join(api.layout.results, String(job.job_id), 'deep/er/data'), 3 * MiB);
  write(join(api.layout.jobLogs, String(job.job_id), 'stdout.log'), 2 * MiB);
  api.slurm.end(job.slurm_job_id);
  await api.call('GET', `/jobs/${job.job_id}?wait=60`, undefined, alice);

  const refused = await submit();
  expect(refused).toMatchObject({
    status: 413,
    json: {
      error: {
        code: 'quota_exceeded',
        details: {
          max: limit,
          datasets_bytes: 0,
          largest: [{ job_id: job.job_id }],
          remedy: ['DELETE /jobs/{id}', 'DELETE /datasets/{sha256}'],
        },
      },
    },
  });
  const { used } = refused.json.error.details as { used: number };
  expect(used).toBeGreaterThanOrEqual(5 * MiB);
  const me = await api.call<{ stored_bytes: number }>('GET', '/users/me', undefined, alice);
  expect(me.json.stored_bytes).toBe(used);

  await api.call('DELETE', `/jobs/${job.job_id}`, undefined, alice);
  expect((await submit()).status).toBe(201);
});

test('a running job that takes its user over the limit is ended, and says why', async () => {
  const small = await start();
  const large = await start();
  write(join(api.layout.results, String(small.job_id), 'data'), MiB);
  write(join(api.layout.results, String(large.job_id), 'data'), 5 * MiB);
  const ended = await api.call('GET', `/jobs/${large.job_id}?wait=60`, undefined, alice);
  expect(ended.json).toMatchObject({ status: 'CANCELLED', failure: 'storage' });
  expect((await show(small.job_id)).status).toBe('RUNNING');
});

test('a job whose log grows over its own limit is ended, without any limit of its user', async () => {
  const { json } = await api.submit();
  api.slurm.start(json.slurm_job_id);
  write(join(api.layout.jobLogs, String(json.job_id), 'stdout.log'), 11 * MiB);
  const ended = await api.call('GET', `/jobs/${json.job_id}?wait=60`);
  expect(ended.json).toMatchObject({ status: 'CANCELLED', failure: 'storage' });
});

test('a job that its user cancels is not said to be over a limit', async () => {
  const { job_id: id } = await start();
  await api.call('POST', `/jobs/${id}/cancel`, undefined, alice);
  expect(await show(id)).toMatchObject({ status: 'CANCELLED', failure: 'cancelled' });
});

test('the script of a waiting job counts', async () => {
  const form = new FormData();
  form.append('command_key', 'python_script');
  form.append('script', new Blob([Buffer.alloc(MiB / 2, '#')]), 'waits.py');
  expect((await api.call('POST', '/jobs', form, alice)).json.status).toBe('PENDING');
  await until('the script counts', async () => {
    const me = await api.call<{ stored_bytes: number }>('GET', '/users/me', undefined, alice);
    return me.json.stored_bytes >= MiB / 2;
  });
});

test('a link in a job’s folder is not followed', async () => {
  const job = await start();
  const outside = join(api.root, 'outside');
  write(join(outside, 'data'), 8 * MiB);
  symlinkSync(outside, join(api.layout.results, String(job.job_id), 'link'));
  api.slurm.end(job.slurm_job_id);
  await api.call('GET', `/jobs/${job.job_id}?wait=60`, undefined, alice);
  expect((await submit()).status).toBe(201);
});

describe('datasets', () => {
  const put = (bytes: Buffer, sha: string) =>
    api.call('PUT', `/datasets/${sha}`, new Uint8Array(bytes), alice);

  const shaOf = (bytes: Buffer) => {
    return createHash('sha256').update(bytes).digest('hex');
  };

  test('a plain file counts once', async () => {
    const bytes = randomBytes(3 * MiB);
    expect((await put(bytes, shaOf(bytes))).status).toBe(201);
    const me = await api.call<{ stored_bytes: number }>('GET', '/users/me', undefined, alice);
    expect(me.json.stored_bytes).toBe(3 * MiB);
  });

  test('deleting one says how many ended jobs name it', async () => {
    const bytes = randomBytes(100);
    const sha = shaOf(bytes);
    await put(bytes, sha);
    const { json } = await api.call('POST', '/jobs', { ...shell, dataset_sha: sha }, alice);
    await api.call('POST', `/jobs/${json.job_id}/cancel`, undefined, alice);
    const deleted = await api.call('DELETE', `/datasets/${sha}`, undefined, alice);
    expect(deleted.json).toMatchObject({ deleted: true, ended_jobs: 1, job_ids: [json.job_id] });
  });
});
