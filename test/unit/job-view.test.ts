import { describe, expect, test } from '@jest/globals';
import type { Caller } from '../../src/auth/caller.js';
import { seesEnv } from '../../src/jobs/job-env.js';
import { jobReplySchema, viewJob } from '../../src/jobs/job-view.js';
import { jobRequestSchema, readJobRequest, type JobRequest } from '../../src/jobs/request.js';
import { maskScript } from '../../src/jobs/job-env.js';
import { jobOf } from './plain-job.js';
import { plainRequest, scriptOf } from './script-support.js';

describe('the view of a job', () => {
  test('shows every field of the request, with null for those left out', () => {
    const request: JobRequest = {
      ...plainRequest,
      partition: 'main',
      command: 'true',
      gpu_type: 'a100',
      conda_env: 'base',
      requeue: true,
      split_log: true,
      allowed_gpus: [0, 2],
      timeout: 1.5,
    };
    const view = viewJob(jobOf(request), null, true);
    expect(view).toMatchObject({ ...request, priority: 3, venv: null, dataset_sha: null });
    expect(Object.keys(view)).toEqual(expect.arrayContaining(Object.keys(jobRequestSchema.shape)));
    expect(jobReplySchema.parse(view)).toEqual(view);
  });

  test('shows the defaults of fields that are newer than the stored row', () => {
    const { command_key, args } = plainRequest;
    expect(readJobRequest(JSON.stringify({ command_key, args, screen: true }))).toMatchObject({
      command_key,
      screen: true,
      cuda: 'replace',
      requeue: false,
      split_log: false,
    });
  });
});

describe('the values in env', () => {
  const request = { ...plainRequest, env: { TOKEN: `it's "$1"\nexport A='b'`, A: 'b', EMPTY: '' } };

  test('are masked in the view, but not the names', () => {
    const masked = { TOKEN: '***', A: '***', EMPTY: '***' };
    expect(viewJob(jobOf(request), null, false).env).toEqual(masked);
    expect(viewJob(jobOf(request), null, true).env).toEqual(request.env);
  });

  test('are masked in the script, whose other lines stay unchanged', () => {
    const script = scriptOf({ request });
    const masked = maskScript(script, request.env);
    expect(masked).not.toContain('$1');
    expect(masked.match(/^export (TOKEN|A|EMPTY)='\*\*\*'$/gm)).toHaveLength(3);
    const names = Object.fromEntries(Object.keys(request.env).map((name) => [name, '***']));
    expect(masked).toBe(scriptOf({ request: { ...request, env: names } }));
  });

  test.each<[Caller['role'], string, boolean]>([
    ['user', 'alice', true],
    ['admin', 'root', true],
    ['user', 'bob', false],
    ['reader', 'alice', false],
  ])('for the role %s of %s: shown %s', (role, user, shown) => {
    expect(seesEnv({ role, user, tokenId: 1 }, 'alice')).toBe(shown);
  });
});
