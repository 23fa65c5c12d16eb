import { jest } from '@jest/globals';
import { SlurmError } from '../../src/cluster/slurm/command.js';
import { until } from '../until.js';
import { TestApi } from './api.js';

let api: TestApi;
beforeEach(async () => {
  api = await TestApi.start();
});
afterEach(() => api.close());

test('a start that fails after a refused cancel is tried again, not taken for that cancel', async () => {
  const { json } = await api.submit();
  const refused = new SlurmError('refused', 'Access denied');
  jest.spyOn(api.slurm, 'cancel').mockRejectedValueOnce(refused);
  expect((await api.call('POST', `/jobs/${json.job_id}/cancel`)).status).toBe(409);

  // As slurmd ends a job that it could not start: by root, without a log.
  api.slurm.start(json.slurm_job_id);
  Object.assign(api.slurm.job(json.slurm_job_id), { cancelledBy: 0 });
  api.slurm.end(json.slurm_job_id, { state: 'CANCELLED' });
  await until('the job is submitted again', async (saw) => {
    const { json: now } = await api.call('GET', `/jobs/${json.job_id}`);
    saw(now);
    return now.status === 'PENDING' && now.slurm_job_id !== json.slurm_job_id;
  });
});
