import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { judge } from '../../src/jobs/failure.js';
import type { JobRequest } from '../../src/jobs/job.js';
import { dedupHashOf } from '../../src/jobs/job-hashes.js';
import { checkLimits } from '../../src/jobs/placement/limits.js';
import { explainReason } from '../../src/jobs/pending-reason.js';
import { submitSchema } from '../../src/jobs/request.js';
import { refusal } from '../refusal.js';
import { plainRequest } from './script-support.js';
import type { SlurmJob } from '../../src/cluster/slurm/job-record.js';

describe('the fields of POST /jobs', () => {
  test('that are nested too deeply for JSON are refused like any other', () => {
    const params = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
    const parsed = submitSchema.safeParse({ command_key: 'shell', params });
    expect(parsed.error?.issues).toMatchObject([
      { path: ['params'], message: expect.stringContaining('nested too deeply') },
    ]);
  });

  test('mean the same in a form and in JSON', () => {
    const form = {
      command_key: 'shell',
      gpus: '1',
      cpus: '2',
      mem_gb: '0.5',
      params: '{"a":[1]}',
      env: '{"A":"b"}',
      args: `--x 'two words' "it's"`,
      dry_run: 'true',
    };
    const json = {
      command_key: 'shell',
      gpus: 1,
      cpus: 2,
      mem_gb: 0.5,
      params: { a: [1] },
      env: { A: 'b' },
      args: ['--x', 'two words', "it's"],
      dry_run: true,
    };
    expect(submitSchema.parse(form)).toEqual(submitSchema.parse(json));
    expect(submitSchema.parse({ command_key: 'x', args: '["a b", ""]' }).args).toEqual(['a b', '']);
  });

  test.each([
    [{ gpus: 'NaN' }],
    [{ gpus: '' }],
    [{ gpus: 1.5 }],
    [{ cpus: '1e3' }],
    [{ mem_gb: Infinity }],
    [{ params: '[1]' }],
    [{ params: 'null' }],
    [{ args: '["unclosed"' }],
    [{ args: [1] }],
    [{ name: '' }],
    [{ name: '\ud800' }],
    [{ experiment_id: '-x' }],
    [{ dry_run: 'perhaps' }],
    [{ command: '' }],
  ])('%j is refused', (fields) => {
    expect(submitSchema.safeParse({ command_key: 'shell', ...fields }).success).toBe(false);
  });
});

test('a job at the limit is accepted, and one above is refused', () => {
  const limits = { gpus: 2, cpus: 4, memoryMb: 1024, maxTime: '1:00:00' };
  const request = {
    gpus: 2,
    cpus: 4,
    mem_gb: 1,
    time_limit: '60',
  } as JobRequest;
  expect(checkLimits(request, limits)).toBeUndefined();
  const over = (more: Partial<JobRequest>) => checkLimits({ ...request, ...more }, limits);
  expect(over({ mem_gb: 1.001 })).toEqual(refusal('unprocessable', 'mem_gb'));
  expect(over({ time_limit: '61' })).toEqual(refusal('unprocessable', 'time_limit'));
});

describe('the hash of a job’s work', () => {
  const hashOf = (fields: Partial<JobRequest>) =>
    dedupHashOf({ ...plainRequest, ...fields }, undefined, undefined);

  test('is the same as in earlier versions', () => {
    const { command_key, args, params, env } = plainRequest;
    const work = JSON.stringify({ command_key, args, params, env });
    expect(hashOf({})).toBe(createHash('sha256').update(work).digest('hex'));
  });

  test.each([{ args: ['x'] }, { env: { A: 'b' } }, { venv: '/v' }, { command: 'true' }])(
    'differs with %j',
    (fields) => {
      expect(hashOf(fields)).not.toBe(hashOf({}));
    },
  );

  test('does not depend on the job’s resources, name or log', () => {
    const given = { gpus: 1, cpus: 3, timeout: 9, partition: 'ssh', cuda: 'add' } as const;
    const kept = { name: 'other', priority: 1, split_log: true, script_name: 'x.py' };
    expect(hashOf({ ...given, ...kept })).toBe(hashOf({}));
  });
});

describe('why a job failed', () => {
  const job = (fields: Partial<SlurmJob>): SlurmJob => ({
    slurmJobId: 1,
    state: 'FAILED',
    reason: null,
    exitCode: 0,
    signal: 0,
    submittedAt: 1,
    startedAt: 1,
    endedAt: 2,
    nodeList: 'box0',
    comment: 'x',
    ...fields,
  });

  test.each([
    [job({ state: 'COMPLETED' }), '', undefined],
    [job({ exitCode: 3 }), '', 'user_code'],
    [job({ signal: 11 }), '', 'user_code'],
    [job({ signal: 9 }), 'Killed', 'user_code'],
    [
      job({ signal: 9 }),
      'StepId=5.batch exceeded memory limit (430653440 > 104857600)',
      'out_of_memory',
    ],
    [job({ exitCode: 1 }), 'exceeded memory limit', 'user_code'],
    [job({ exitCode: 1 }), 'StepId=2.batch exceeded memory limit (9 > 8), being', 'user_code'],
    [job({ exitCode: 137 }), 'StepId=1.batch exceeded memory limit (9 > 8)', 'out_of_memory'],
    [job({ state: 'OUT_OF_MEMORY' }), '', 'out_of_memory'],
    [job({ state: 'TIMEOUT' }), '', 'time_limit'],
    [job({ state: 'CANCELLED' }), '', 'cancelled'],
    [job({ state: 'NODE_FAIL' }), '', 'node'],
    [job({ startedAt: null, exitCode: 1, reason: 'BadConstraints' }), '', 'submit'],
  ])('%j with the log %j', (ended, log, failure) => {
    expect(judge(ended, log)?.failure).toBe(failure);
  });

  test('its SSH host failed, if remote-run recorded that, not if the log says so', () => {
    const why = 'SSH host gpu-0: it refuses the login';
    const ended = job({ exitCode: 75, nodeList: 'gpu-0' });
    expect(judge(ended, '', {}, why)).toEqual({ failure: 'node', message: why });
    expect(judge(ended, `jobrunner: ${why}\n`)?.failure).toBe('user_code');
    expect(judge(job({ state: 'CANCELLED' }), '', {}, why)?.failure).toBe('cancelled');
    expect(judge(job({ state: 'COMPLETED' }), '', {}, why)).toBeUndefined();
  });

  test('the reason for waiting is shown in words', () => {
    expect(explainReason('ReqNodeNotAvail, UnavailableNodes:box0')).toMatch(/down, drained/);
    const long = 'Nodes required for job are DOWN, DRAINED or reserved for jobs in';
    expect(explainReason(long)).toMatch(/down, drained/);
    expect(explainReason('SomethingNew')).toMatch(/squeue/);
  });
});
