import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../until.js';
import { TestApi } from './api.js';

let api: TestApi;
let alice: { Authorization: string };

beforeAll(async () => {
  api = await TestApi.start();
  alice = await api.tokenOf('alice');
});
afterAll(() => api.close());

/** Runs a job that leaves `weights.pt` with this content. */
async function train(content: string, fields: object, headers = {}): Promise<number> {
  const { status, json } = await api.call(
    'POST',
    '/jobs',
    { command_key: 'shell', command: 'true', ...fields },
    headers,
  );
  expect(status).toBe(201);
  const folder = join(api.layout.results, String(json.job_id));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'weights.pt'), content);
  api.slurm.start(json.slurm_job_id);
  api.slurm.end(json.slurm_job_id);
  await until('the job has ended', async () => {
    const job = await api.call('GET', `/jobs/${json.job_id}?wait=1`);
    return job.json.status === 'COMPLETED';
  });
  return json.job_id;
}

const download = (experiment: string, more = '', headers = {}) =>
  api.call(
    'GET',
    `/outputs/download?experiment_id=${experiment}&output_id=weights.pt${more}`,
    undefined,
    headers,
  );

test('an admin gets their own file from an experiment that another user has, too', async () => {
  await train('the owner’s', { experiment_id: 'prod' });
  await train('alice’s', { experiment_id: 'prod' }, alice);
  expect((await download('prod')).text).toBe('the owner’s');
  expect((await download('prod', '', alice)).text).toBe('alice’s');
  expect((await download('prod', '&user=alice')).text).toBe('alice’s');
  const list = await api.call<{ outputs: unknown[] }>('GET', '/outputs?experiment_id=prod');
  expect(list.json.outputs).toHaveLength(1);
});

test('an admin has to name the user of an experiment that is not their own', async () => {
  await train('alice’s', { experiment_id: 'hers' }, alice);
  for (const path of ['/outputs?', '/outputs/download?output_id=weights.pt&']) {
    const refused = await api.call('GET', `${path}experiment_id=hers`);
    expect([refused.status, refused.json.error]).toMatchObject([
      409,
      { code: 'ambiguous', details: { fields: ['user'], users: ['alice'] } },
    ]);
  }
  expect((await download('hers', '&user=alice')).text).toBe('alice’s');
  expect((await download('hers', '&user=bob')).status).toBe(404);
});

test('a user cannot name another’s experiment', async () => {
  await train('the owner’s', { experiment_id: 'secret' });
  expect((await download('secret', '', alice)).status).toBe(404);
  expect((await download('secret', '&user=admin', alice)).status).toBe(404);
});

test('a job that names no experiment has one that nobody else can choose', async () => {
  const id = await train('alice’s', {}, alice);
  expect((await download(`job-${id}`)).text).toBe('alice’s');
  for (const name of [`job-${id}`, 'job-99999']) {
    const refused = await api.submit({ experiment_id: name });
    expect([refused.status, refused.json.error]).toMatchObject([
      400,
      { code: 'bad_request', details: { fields: ['experiment_id'] } },
    ]);
  }
});

test('of several jobs with one output id, the caller says which', async () => {
  const first = await train('first', { experiment_id: 'sweep' });
  const second = await train('second', { experiment_id: 'sweep' });
  const refused = await download('sweep');
  expect([refused.status, refused.json.error]).toMatchObject([
    409,
    { code: 'ambiguous', details: { fields: ['job_id'], job_ids: [second, first] } },
  ]);
  expect((await download('sweep', `&job_id=${first}`)).text).toBe('first');
  expect((await download('sweep', '&job_id=latest')).text).toBe('second');
  expect((await download('sweep', '&job_id=1')).status).toBe(404);
  expect((await download('sweep', '&job_id=newest')).status).toBe(400);
});
