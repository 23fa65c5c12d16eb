import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { LiveStack } from './live-stack.js';

let stack: LiveStack;
beforeAll(async () => {
  stack = await LiveStack.start({ JR_PUBLIC_STATUS: '1', JR_SIMULATE_GPUS: '0' });
});
afterAll(() => stack.remove());

const open = { headers: { Authorization: '' } };

test('with JR_PUBLIC_STATUS everybody can read the queue server’s API, and nothing else', async () => {
  const form = new FormData();
  form.set('code', new File(['print("seen")'], 'x.py'));
  const yaml = `{competition_id: 1, project_id: 007, user_id: bob, expected_time: 5.5, token: ${stack.token}}`;
  form.set('config_file', new File([yaml], 'c.yaml'));
  const { json } = await stack.call<{ job_id: string; jobrunner_job_id: number }>(
    'POST',
    '/api/submit',
    { body: form },
  );
  await stack.finish(json.jobrunner_job_id);
  const results = await stack.call('GET', `/api/results/${json.job_id}`, open);
  expect(results.json).toMatchObject({
    status: 'completed',
    stdout: 'seen\n',
    user_id: 'bob',
    project_id: '007',
    timeout: 11,
  });
  for (const path of [`status/${json.job_id}`, 'jobs', 'jobs?user_id=bob', 'nodes'])
    expect((await stack.call('GET', `/api/${path}`, open)).status).toBe(200);
  expect((await stack.call('GET', '/', open)).text).not.toContain(stack.token);
  expect((await stack.call('POST', `/api/cancel/${json.job_id}`, open)).status).toBe(401);
  for (const path of ['/jobs', `/jobs/${json.jobrunner_job_id}`, '/nodes', '/api/x'])
    expect((await stack.call('GET', path, open)).status).toBe(401);
});
