import { openDatabase } from '../../src/db/database.js';
import { isTerminal, type SlurmState } from '../../src/cluster/slurm/states.js';
import { until } from '../until.js';
import { TestApi } from './api.js';

/* Fields that must not tell more than is known, or something else than is so. */

let api: TestApi;
beforeAll(async () => {
  api = await TestApi.start();
});
afterAll(() => api.close());

/** Runs a job that ends so, and returns it. */
async function endedAs(state: SlurmState, exitCode = 0, signal = 0) {
  const { json } = await api.submit();
  api.slurm.start(json.slurm_job_id);
  api.slurm.end(json.slurm_job_id, { state, exitCode, signal });
  const path = `/jobs/${json.job_id}?wait=1`;
  return until(`job ${json.job_id} has ended`, async () => {
    const { json: job } = await api.call('GET', path);
    return isTerminal(job.status) && job;
  });
}

test.each<SlurmState>(['NODE_FAIL', 'BOOT_FAIL', 'CANCELLED', 'TIMEOUT', 'PREEMPTED', 'FAILED'])(
  'a job that ended as %s without an exit code of its own shows none',
  async (state) => {
    expect(await endedAs(state)).toMatchObject({ status: state, exit_code: null });
  },
);

test('an exit code that Slurm reports is shown', async () => {
  expect(await endedAs('COMPLETED')).toMatchObject({ exit_code: 0 });
  expect(await endedAs('FAILED', 3)).toMatchObject({ exit_code: 3 });
  expect(await endedAs('FAILED', 0, 11)).toMatchObject({ exit_code: null, signal: 11 });
});

test('no job starts before its submission, nor ends before its start, though Slurm counts in seconds', async () => {
  const { json } = await api.submit();
  const submittedAt = Date.parse(json.submitted_at);
  // The second before the one of the submission: Slurm cuts off the rest of a second.
  const second = Math.floor(submittedAt / 1000) * 1000 - 1000;
  api.slurm.start(json.slurm_job_id);
  Object.assign(api.slurm.job(json.slurm_job_id), { startedAt: second });
  api.slurm.end(json.slurm_job_id);
  Object.assign(api.slurm.job(json.slurm_job_id), { endedAt: second });
  const job = await until('the job has ended', async () => {
    const { json: now } = await api.call('GET', `/jobs/${json.job_id}?wait=1`);
    return isTerminal(now.status) && now;
  });
  expect([job.started_at, job.ended_at]).toEqual([job.submitted_at, job.submitted_at]);
});

test('the fields of a node are in snake case, as all others', async () => {
  const { json } = await api.call<{ nodes: Record<string, unknown>[] }>('GET', '/nodes');
  expect(json.nodes).toEqual([
    {
      name: 'box0',
      state: 'idle',
      partition: 'main*',
      cpus: 16,
      cpus_allocated: 0,
      memory_mb: 32_000,
      memory_allocated_mb: 0,
      gres: 'gpu:nvidia0:1,gpu:nvidia1:1',
      gres_used: null,
      reason: null,
      ssh: null,
    },
  ]);
});

test('no field of any request or reply is in camel case', async () => {
  const { json } = await api.call<unknown>('GET', '/openapi.json');
  const names = new Set<string>();
  const collect = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const { properties } = value as { properties?: object };
    for (const name of Object.keys(properties ?? {})) names.add(name);
    for (const inner of Object.values(value)) collect(inner);
  };
  collect(json);
  expect(names.size).toBeGreaterThan(100);
  expect([...names].filter((name) => /[A-Z]/.test(name))).toEqual([]);
});

test('a page of jobs names the next one, and the last page none', async () => {
  const user = await api.tokenOf('pat');
  const ids: number[] = [];
  for (let i = 0; i < 5; i++)
    ids.unshift(
      (await api.call('POST', '/jobs', { command_key: 'shell', command: 'true' }, user)).json
        .job_id,
    );
  const pages: number[][] = [];
  const nexts: (number | null)[] = [];
  for (let next: number | null | undefined; next !== null;) {
    const before: string = next === undefined ? '' : `&before=${next}`;
    const { json } = await api.call<{ jobs: { job_id: number }[]; next_before: number | null }>(
      'GET',
      `/jobs?limit=2${before}`,
      undefined,
      user,
    );
    pages.push(json.jobs.map((job) => job.job_id));
    next = json.next_before;
    nexts.push(next);
  }
  expect(pages).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
  expect(nexts).toEqual([ids[1], ids[3], null]);
  // A page that is exactly full may be the last one.
  const { json: whole } = await api.call<object>('GET', '/jobs?limit=5', undefined, user);
  expect(whole).toMatchObject({ next_before: null });
});

test('a page of imports names the next one', async () => {
  const db = openDatabase(api.layout.database);
  const insert = db.prepare(
    "INSERT INTO dataset_imports (uri, state, created_at) VALUES ('s3://b/k', 'FAILED', 0)",
  );
  const ids = [1, 2, 3].map(() => Number(insert.run().lastInsertRowid)).reverse();
  db.close();
  type Page = { imports: { id: number }[]; next_before: number | null };
  const { json: first } = await api.call<Page>('GET', '/datasets/imports?limit=2');
  expect([first.imports.map(({ id }) => id), first.next_before]).toEqual([ids.slice(0, 2), ids[1]]);
  const { json: last } = await api.call<Page>('GET', `/datasets/imports?before=${ids[1]}`);
  expect([last.imports.map(({ id }) => id), last.next_before]).toEqual([ids.slice(2), null]);
});

test('a page of the audit log names the next one', async () => {
  type Page = { audit: { audit_id: number }[]; next_before: number | null };
  const { json: first } = await api.call<Page>('GET', '/audit?limit=1');
  expect(first.next_before).toBe(first.audit[0]?.audit_id);
  const { json: all } = await api.call<Page>('GET', '/audit?limit=1000');
  expect(all.next_before).toBeNull();
});
