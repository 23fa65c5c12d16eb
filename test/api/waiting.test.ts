import { SlurmError } from '../../src/cluster/slurm/command.js';
import { TestApi } from './api.js';

let api: TestApi;
beforeEach(async () => {
  api = await TestApi.start();
});
afterEach(() => api.close());

/** Submits a job while Slurm is away. */
async function submitLater(): Promise<number> {
  api.slurm.failure = new SlurmError('unreachable', 'Unable to contact slurm controller');
  const { status, json } = await api.submit();
  expect(status).toBe(202);
  return json.job_id;
}

test('a wait for a job ends when Slurm refuses the job later', async () => {
  const id = await submitLater();
  const waiting = api.call('GET', `/jobs/${id}?wait=300`);
  api.slurm.refusal = new SlurmError('refused', 'Invalid account');
  api.slurm.failure = undefined;
  expect((await waiting).json).toMatchObject({ status: 'REJECTED', failure: 'submit' });
});

test('a wait for a job ends when the job is cancelled before Slurm has it', async () => {
  const id = await submitLater();
  const waiting = api.call('GET', `/jobs/${id}?wait=300`);
  await api.call('POST', `/jobs/${id}/cancel`);
  expect((await waiting).json).toMatchObject({ status: 'CANCELLED', failure: 'cancelled' });
});
