import { openDatabase } from '../../src/db/database.js';
import { lastSlurmJobIn } from '../../src/jobs/last-slurm-job.js';
import { TestApi } from './api.js';

/*
 * After a restored backup, Slurm may give a number out again that a row still has. Nothing that is
 * done to that row's job may meet the other one.
 */

let api: TestApi;
beforeEach(async () => {
  api = await TestApi.start();
});
afterEach(() => api.close());

/** Submits a job, and gives its number to a job of somebody else. */
async function jobWhoseNumberIsGivenAway(): Promise<number> {
  const { json } = await api.submit();
  const slurmJob = api.slurm.job(json.slurm_job_id);
  api.slurm.jobs.set(slurmJob.slurmJobId, { ...slurmJob, comment: 'jobrunner:another' });
  return json.job_id;
}

test.each(['cancel', 'hold', 'release', 'requeue'])(
  '%s leaves the other job alone',
  async (act) => {
    const id = await jobWhoseNumberIsGivenAway();
    const before = { ...api.slurm.job(1) };
    const { status, json } = await api.call('POST', `/jobs/${id}/${act}`);
    expect([status, json.error.code]).toEqual([409, 'conflict']);
    expect(json.error.message).toContain('another job’s now');
    expect(api.slurm.job(1)).toEqual(before);
  },
);

test('a changed priority leaves the other job alone', async () => {
  const id = await jobWhoseNumberIsGivenAway();
  const { priority } = api.slurm.job(1);
  const { status } = await api.call('POST', `/jobs/${id}/priority`, { priority: 1 });
  expect([status, api.slurm.job(1).priority]).toEqual([409, priority]);
});

test('a job ends when Slurm gives its number to a new one', async () => {
  const { json: lost } = await api.submit();
  api.slurm.forgetAll();
  const waiting = api.call('GET', `/jobs/${lost.job_id}?wait=60`);
  const { json: next } = await api.submit();
  expect(next.slurm_job_id).toBe(lost.slurm_job_id);
  expect((await waiting).json).toMatchObject({ status: 'NODE_FAIL', failure: 'node' });
  expect((await api.call('GET', `/jobs/${next.job_id}`)).json.status).toBe('PENDING');
});

test('two live jobs cannot have the same number', async () => {
  await api.submit();
  const { json } = await api.submit();
  const db = openDatabase(api.layout.database);
  const twice = () =>
    db.prepare('UPDATE jobs SET slurm_job_id = 1 WHERE job_id = ?').run(json.job_id);
  expect(twice).toThrow(/UNIQUE/);
  db.close();
});

test('the greatest number is known for the next start', async () => {
  for (let i = 0; i < 3; i++) await api.submit();
  expect(lastSlurmJobIn(api.layout.database)).toBe(3);
  expect(lastSlurmJobIn(`${api.layout.database}.none`)).toBe(0);
});
