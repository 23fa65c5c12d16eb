import { TestApi } from './api.js';

let api: TestApi;
beforeAll(async () => {
  api = await TestApi.start();
});
afterAll(() => api.close());

test('a job is submitted, followed and read', async () => {
  const submitted = await api.submit();
  expect(submitted.status).toBe(201);
  const { job_id: id, slurm_job_id: slurmId } = submitted.json;
  api.slurm.start(slurmId);
  api.slurm.end(slurmId);
  const ended = await api.call('GET', `/jobs/${id}?wait=20`);
  expect(ended.json).toMatchObject({ status: 'COMPLETED', exit_code: 0 });
  expect((await api.call('GET', `/jobs/${id}/result`)).status).toBe(200);
});
