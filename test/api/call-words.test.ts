import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ErrorBody } from '../../src/http/error-body.js';
import { submitSchema } from '../../src/jobs/request.js';
import { TestApi, type Reply } from './api.js';

/*
 * The sentence of each error that a caller may cause, as a person reads it. Other tests look at
 * the status, the code and the details alone, so that a better wording changes this file only.
 */

let api: TestApi;
beforeAll(async () => {
  api = await TestApi.start();
});
afterAll(() => api.close());

const said = ({ json }: Reply<ErrorBody>) => json.error.message;

describe('POST /jobs', () => {
  const nul = 'nul\0';
  const wrong: [object, string][] = [
    [
      { command_key: 'none' },
      'command_key: unknown template "none"; available: echo_params, git_queue, python_script, pytorch_example, pytorch_infer, script, shell',
    ],
    [{ command: undefined }, 'command: shell needs it'],
    [{ command_key: 'echo_params' }, 'command: echo_params takes none'],
    [
      { dataset_sha: 'A'.repeat(64) },
      'dataset_sha: expected a SHA-256: 64 digits 0-9a-f in lower case, as sha256sum prints',
    ],
    [{ gpus: -0.5 }, 'gpus: cannot be negative'],
    [{ gpus: 'many' }, 'gpus: expected a number such as 0.5 or 2'],
    [{ gpus: 1.5 }, 'gpus: a share is a part of one GPU: ask for up to 1, or for a whole number'],
    [
      { gpus: 2, allowed_gpus: '1' },
      'gpus: 2 requested; 1 among the allowed ones is the most a job can have here',
    ],
    [{ gpus: 0.5, gpu_mem_gb: 1 }, 'gpu_mem_gb: give this or gpus, not both'],
    [
      { gpus: 1, allowed_gpus: '3-1' },
      'allowed_gpus: expected GPU indices such as "0,2-3", or a list of numbers',
    ],
    [
      { gpu_type: 'a100' },
      'gpu_type: only an external Slurm has types of GPU; choose GPUs with allowed_gpus',
    ],
    [{ priority: 1.5 }, 'priority: expected a whole number'],
    [
      { time_limit: '1:00; rm' },
      'time_limit: expected a time such as 00:10:00, 1-12:00:00 or 90 (minutes)',
    ],
    [{ name: 'a\nb' }, 'name: expected 1 to 128 characters, no control characters'],
    [{ experiment_id: '../x' }, 'experiment_id: expected letters, digits and ._:@+- (at most 128)'],
    [{ env: { JR_X: 'x' } }, 'env.JR_X: set by JobRunner or Slurm; use another name'],
    [{ env: { 'a b': 'x' } }, 'env.a b: not a name for a variable'],
    [{ env: { A: nul } }, 'env.A: holds a NUL byte'],
    [{ args: [nul] }, 'args.0: holds a NUL byte'],
    [{ params: { a: nul } }, 'params: holds a NUL character'],
    [{ params: 'not json' }, 'params: expected a JSON object'],
    [{ command: 'x'.repeat(200_000) }, 'command: longer than 100 KiB'],
    [{ command: 'x'.repeat(1_100_000) }, 'the body is larger than allowed'],
    [
      { conda_env: 'a b' },
      'conda_env: expected the name of a conda environment, or its absolute path',
    ],
    [{ venv: 'v' }, 'venv: expected the absolute path of a virtual environment'],
    [{ conda_env: 'a', venv: '/b' }, 'conda_env: give this or venv, not both'],
    [{ cuda: 'no' }, 'cuda: expected "replace" or "add"'],
    [{ screen: 'perhaps' }, 'screen: expected true or false'],
    [{ screen: true, timeout: 1 }, 'timeout: cannot be combined with screen; leave one out'],
    [
      { priority_: 1 },
      `priority_: no such field (did you mean priority?); available: ${Object.keys(submitSchema.shape).join(', ')}`,
    ],
    [
      { command_key: 'pytorch_example', command: undefined, params: { epochs: 0 } },
      'params.epochs: must be >= 1',
    ],
  ];
  test.each(wrong.map(([fields, sentence]) => [sentence, fields] as const))(
    '%s',
    async (sentence, fields) => {
      expect(said(await api.submit(fields as Record<string, unknown>))).toBe(sentence);
    },
  );

  test('an Idempotency-Key of another request', async () => {
    const submit = (command: string) =>
      api.call('POST', '/jobs', { command_key: 'shell', command }, { 'Idempotency-Key': 'k' });
    const { json } = await submit('true');
    expect(said(await submit('false'))).toBe(
      `Idempotency-Key: was used for another request, job ${json.job_id}; use a new one`,
    );
  });
});

test('jobs that cannot be changed now, and a log that is not split', async () => {
  const { json: job } = await api.submit();
  const id = job.job_id;
  api.slurm.start(job.slurm_job_id);
  api.slurm.end(job.slurm_job_id);
  await api.call('GET', `/jobs/${id}?wait=20`);
  expect(said(await api.call('POST', `/jobs/${id}/cancel`))).toBe(
    `job ${id} has ended already: COMPLETED`,
  );
  expect(said(await api.call('GET', `/jobs/${id}/log?stream=stderr`))).toBe(
    `stream: job ${id} has both streams in one log; submit it with split_log=true to keep them apart`,
  );
});

describe('GPUs and nodes', () => {
  test.each([
    ['/gpus/7/pause', 'unknown GPU 7; available: 0 to 1'],
    ['/gpus/1/resume', 'GPU 1 is not paused'],
    ['/gpus/x/pause', 'index: expected the index of a GPU such as 0'],
    ['/nodes/other/drain', 'unknown node other; available: box0'],
  ])('POST %s', async (path, sentence) => {
    expect(said(await api.call('POST', path))).toBe(sentence);
  });

  test('a GPU that is paused twice', async () => {
    await api.call('POST', '/gpus/0/pause', { reason: 'fan' });
    expect(said(await api.call('POST', '/gpus/0/pause'))).toBe(
      'GPU 0 is paused already, by admin (fan)',
    );
  });
});

test('tokens', async () => {
  const create = async (fields: object) => said(await api.call('POST', '/tokens', fields));
  expect(await create({ user: 'no spaces' })).toBe(
    'user: expected 1 to 63 letters, digits and _.@- such as alice',
  );
  expect(await create({})).toBe('user: expected the name of a user');
  expect(await create({ user: 'x', role: 'root' })).toBe('role: expected admin, user or reader');
  await api.call('POST', '/tokens', { user: 'x', token: 'the-same-token' });
  expect(await create({ user: 'eve', token: 'the-same-token' })).toBe(
    'token: this one is in use already; choose another',
  );
});

describe('limits', () => {
  test('of a user', async () => {
    const holder = await api.tokenOf('bob');
    await api.call('PUT', '/users/bob/limits', { max_jobs: 1 });
    const submit = () => api.call('POST', '/jobs', { command_key: 'shell', command: 'x' }, holder);
    await submit();
    expect(said(await submit())).toBe(
      'you have 1 jobs queued or running, the most allowed: wait for one or cancel one',
    );
  });
});

describe('POST /api/submit', () => {
  const good = {
    competition_id: 'c',
    project_id: 'p',
    user_id: 'admin',
    expected_time: '1',
  };
  async function submit(config: string, code: string | undefined = 'print(1)', more = {}) {
    const form = new FormData();
    if (code !== '') form.append('code', new Blob([code]), 'a.py');
    if (config !== '') form.append('config_file', new Blob([config]), 'c.yaml');
    for (const [name, value] of Object.entries(more)) form.append(name, String(value));
    return said(await api.call('POST', '/api/submit', form));
  }
  const yaml = (more: object) => JSON.stringify({ ...good, ...more });

  const wrong: [string, string, object, string][] = [
    [yaml({}), '', {}, 'code: is missing; send it as one (-F "code=@…")'],
    ['', 'x', {}, 'config_file: is missing; send it as one (-F "config_file=@…")'],
    [yaml({}), 'x', { gpus: '8' }, 'gpus: no such field; available: code, config_file'],
    [
      yaml({ gpu: '1' }),
      'x',
      {},
      'gpu: no such field; available: competition_id, project_id, user_id, expected_time, token',
    ],
    [yaml({ user_id: undefined }), 'x', {}, 'user_id: is missing'],
    [yaml({ expected_time: '0' }), 'x', {}, 'expected_time: expected more than 0 seconds'],
    [
      yaml({ expected_time: '-5' }),
      'x',
      {},
      'expected_time: expected a number of seconds such as 10',
    ],
    [
      yaml({ expected_time: '99999999' }),
      'x',
      {},
      'expected_time: 99999999 s, of which 2 times are allowed, is longer than a job may run here (7-00:00:00)',
    ],
    [
      'a: &a [1]\nb: *a\n',
      'x',
      {},
      'config_file: YAML aliases are not allowed: write the value out',
    ],
    ['['.repeat(16_000), 'x', {}, 'config_file: is nested too deeply'],
    [`#${'x'.repeat(17_000)}`, 'x', {}, 'config_file: larger than 16 KiB'],
    [
      'user_id: a\nuser_id: b\n',
      'x',
      {},
      'config_file: is not YAML: Map keys must be unique at line 2, column 1',
    ],
    [
      yaml({ token: 'wrong-token' }),
      'x',
      {},
      'token: invalid or missing; send it in config_file or as "Authorization: Bearer <token>"',
    ],
  ];
  test.each(wrong.map(([config, code, more, sentence]) => [sentence, config, code, more] as const))(
    '%s',
    async (sentence, config, code, more) => {
      expect(await submit(config, code, more)).toBe(sentence);
    },
  );
});

describe('outputs', () => {
  test.each([
    ['/outputs/by_job/999', 'job_id: there is no job 999'],
    ['/outputs?experiment_id=none', 'experiment_id: no job of experiment "none"'],
    [
      '/outputs/download_by_job?job_id=1&rel_path=..%2fx',
      'rel_path: holds “..”; give it relative to the job’s folder',
    ],
    [
      '/outputs/download_by_job?job_id=1&rel_path=/etc/passwd',
      'rel_path: is absolute; give it relative to the job’s folder',
    ],
    ['/outputs/download_by_job?job_id=1&rel_path=a%00b', 'rel_path: holds a NUL byte'],
  ])('GET %s', async (path, sentence) => {
    await api.submit();
    expect(said(await api.call('GET', path))).toBe(sentence);
  });
});
