import { describe, expect, test } from '@jest/globals';
import { AppError, fieldError } from '../../src/errors.js';
import { checkGpus } from '../../src/cluster/gpus/request.js';
import { submitClaimed } from '../../src/ingest/submit-claimed.js';
import type { JobId, JobRequest } from '../../src/jobs/job.js';
import { checkLimits } from '../../src/jobs/placement/limits.js';
import { OwnTargets } from '../../src/jobs/placement/own-cluster.js';
import type { Submitted } from '../../src/jobs/service.js';
import { HostList } from '../../src/cluster/ssh-hosts/host-list.js';
import { submitSchema } from '../../src/jobs/request.js';
import { refusal } from '../refusal.js';

const limits = { cpus: 2, memoryMb: 4096, maxTime: '1:00:00' };
const local = {
  limits,
  fleet: { gpus: [], shardsPerGpu: 100, gpuType: 'nvidia' },
  isClosed: () => false,
};
const ask = (more: Partial<JobRequest>) =>
  ({ cpus: 1, mem_gb: 1, time_limit: '60', ...more }) as JobRequest;

const steps = (refuse: () => unknown) => ({
  request: () => Promise.resolve({ fields: submitSchema.parse({ command_key: 'shell' }) }),
  beforeSubmit: () => Promise.resolve(),
  submit: async (): Promise<Submitted> => {
    await Promise.resolve(refuse());
    return { kind: 'created', job: { job_id: 7 as JobId } } as Submitted;
  },
});
const throwIt = (problem: AppError | undefined) => {
  if (problem) throw problem;
};
const raise = (error: Error) => (): never => {
  throw error;
};

describe('submitting is tried again', () => {
  test.each<[string, () => unknown, AppError]>([
    [
      'while no worker of the partition has joined',
      () => new OwnTargets(local, new HostList('/nonexistent')).forPartition('workers'),
      refusal('unprocessable', 'partition'),
    ],
    [
      'while no worker that has joined has such GPUs',
      () => throwIt(checkGpus([], { gpus: 1 }, 100)),
      refusal('unprocessable', 'gpus'),
    ],
    [
      'while the Unix users are used up',
      raise(new AppError('unprocessable', 'no Unix user is left')),
      refusal('unprocessable'),
    ],
    [
      'while the template is being replaced',
      raise(fieldError('not_found', 'command_key', 'no such template')),
      refusal('not_found', 'command_key'),
    ],
  ])('%s', async (_when, refuse, refused) => {
    await expect(submitClaimed(steps(refuse))).rejects.toEqual(refused);
  });

  test('when the claim cannot be renewed first', async () => {
    const beforeSubmit = raise(new AppError('conflict', 'the repository refuses pushes'));
    await expect(submitClaimed({ ...steps(() => undefined), beforeSubmit })).rejects.toEqual(
      refusal('conflict'),
    );
  });
});

describe('refused for good', () => {
  test('are invalid fields of the item', async () => {
    const tooLong = () => throwIt(checkLimits(ask({ timeout: 3601 }), limits));
    expect(await submitClaimed(steps(tooLong))).toEqual({
      refusal: expect.stringMatching(/^timeout: 3601 .*3600/),
    });
    const badParams = raise(new AppError('bad_request', 'params.epochs: must be number'));
    expect(await submitClaimed(steps(badParams))).toEqual({
      refusal: 'params.epochs: must be number',
    });
  });

  test('is an error that its source finds', async () => {
    const request = raise(new AppError('unprocessable', 'script: a.py is not in the repository'));
    expect(await submitClaimed({ ...steps(() => undefined), request })).toEqual({
      refusal: 'script: a.py is not in the repository',
    });
  });
});
