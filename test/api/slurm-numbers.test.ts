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
async function jobWhoseNumberIsGivenAway(): Promise<{ id: number; number: number }> {
  const { json } = await api.submit();
  const slurmJob = api.slurm.job(json.slurm_job_id);
  api.slurm.jobs.set(slurmJob.slurmJobId, { ...slurmJob, comment: 'jobrunner:another' });
  return { id: json.job_id, number: slurmJob.slurmJobId };
}

test.each(['cancel', 'hold', 'release', 'requeue'])(
  '%s leaves the other job alone',
  async (act) => {
    const { id, number } = await jobWhoseNumberIsGivenAway();
    const before = { ...api.slurm.job(number) };
    const { status, json } = await api.call('POST', `/jobs/${id}/${act}`);
    expect([status, json.error.code]).toEqual([409, 'conflict']);
    expect(json.error.message).toContain('another job’s now');
    expect(api.slurm.job(number)).toEqual(before);
  },
);

test('a changed priority leaves the other job alone', async () => {
  const { id, number } = await jobWhoseNumberIsGivenAway();
  const { priority } = api.slurm.job(number);
  const { status } = await api.call('POST', `/jobs/${id}/priority`, { priority: 1 });
  expect([status, api.slurm.job(number).priority]).toEqual([409, priority]);
});

test('a job ends when Slurm gives its number to a new one', async () => {
  const { json: lost } = await api.submit();
  api.slurm.forget(lost.slurm_job_id);
  const waiting = api.call('GET', `/jobs/${lost.job_id}?wait=60`);
  const { json: next } = await api.submit();
  expect(next.slurm_job_id).toBe(lost.slurm_job_id);
  expect((await waiting).json).toMatchObject({ status: 'NODE_FAIL', failure: 'node' });
  expect((await api.call('GET', `/jobs/${next.job_id}`)).json.status).toBe('PENDING');
});

test('two live jobs cannot have the same number', async () => {
  const { json: first } = await api.submit();
  const { json: second } = await api.submit();
  const db = openDatabase(api.layout.database);
  const twice = () =>
    db
      .prepare('UPDATE jobs SET slurm_job_id = ? WHERE job_id = ?')
      .run(first.slurm_job_id, second.job_id);
  expect(twice).toThrow(/UNIQUE/);
  db.close();
});

test('the greatest number is known for the next start', async () => {
  const numbers = [];
  for (let i = 0; i < 3; i++) numbers.push((await api.submit()).json.slurm_job_id ?? 0);
  expect(lastSlurmJobIn(api.layout.database)).toBe(Math.max(...numbers));
  expect(lastSlurmJobIn(`${api.layout.database}.none`)).toBe(0);
});
