import { expect, test } from '@jest/globals';
import { checkGpus, checkUserGpuQuota } from '../../src/cluster/gpus/request.js';
import { HostList } from '../../src/cluster/ssh-hosts/host-list.js';
import type { ExternalPartition } from '../../src/cluster/external/inventory.js';
import { ExternalTargets } from '../../src/jobs/placement/external.js';
import { checkLimits } from '../../src/jobs/placement/limits.js';
import { OwnTargets } from '../../src/jobs/placement/own-cluster.js';
import { checkParams } from '../../src/jobs/templates/params.js';
import { templateFileSchema } from '../../src/jobs/templates/template.js';
import { UserAccounts } from '../../src/jobs/user-accounts.js';
import { SlurmError } from '../../src/cluster/slurm/command.js';
import type { Request, Response } from 'express';
import { refuseForeignPages } from '../../src/http/own-pages.js';
import { messageOf } from '../message-of.js';
import { plainRequest } from './script-support.js';

// Each sentence of an error stands in one test, here or beside what it is about. All other tests
// look at codes and fields.

const limits = { gpus: 2, cpus: 4, memoryMb: 1024, maxTime: '1:00:00' };
const gpu = { index: 0, device: '', uuid: null, model: 'GPU', memoryMb: 40 * 1024 };
const own = new OwnTargets(
  { limits, fleet: { gpus: [], shardsPerGpu: 100, gpuType: 'nvidia' }, isClosed: () => false },
  new HostList('/nonexistent'),
);
const node = {
  ...{ name: 'a', gres: 'gpu:t4:2', state: 'idle', partition: 'p', cpus: 8, cpusAllocated: 0 },
  ...{ memoryMb: 4096, memoryAllocatedMb: 0, gresUsed: null, reason: null },
};
const partition: ExternalPartition = {
  ...{ name: 'p', isDefault: null, state: 'UP', maxTime: 7200, defaultTime: 600 },
  ...{ maxMemoryMb: null, maxCpus: 4, nodes: [node] },
};
const external = new ExternalTargets(
  { partitions: () => [partition] },
  { partition: undefined, maxTime: 3600 },
);
const problemIn = (more: object) => () =>
  external.forPartition('p').problemWith({ ...plainRequest, ...more });
const params = (properties: object, required: string[] = []) => ({
  ...templateFileSchema.parse({
    description: 'x',
    params: { type: 'object', additionalProperties: false, properties, required },
  }),
  ...{ commandKey: 'train', folder: '/nowhere', body: '' },
});

/** A form that a browser posts to that host, for a page of that origin. */
const formOf = (host: string, origin?: string) => () => {
  const headers: Record<string, string | undefined> = { origin, 'sec-fetch-site': 'cross-site' };
  const request = { method: 'POST', secure: false, host, hostname: host };
  const get = (name: string) => headers[name];
  refuseForeignPages([])(
    { ...request, get } as unknown as Request,
    {} as Response,
    () => undefined,
  );
};

test.each<[string, () => unknown]>([
  [
    'Host: this API does not answer browsers as evil.example; if it is yours, name it in JR_ALLOWED_HOSTS',
    formOf('evil.example', 'http://evil.example'),
  ],
  [
    'Origin: this API takes no calls from pages of https://evil.example; if the page is this API’s own, name its host in JR_ALLOWED_HOSTS',
    formOf('localhost', 'https://evil.example'),
  ],
  [
    'Origin: this API takes no calls from pages of another site; if the page is this API’s own, name its host in JR_ALLOWED_HOSTS',
    formOf('localhost'),
  ],
  [
    'cpus: 5 requested; 4 is the most a job can have here',
    () => checkLimits({ ...plainRequest, cpus: 5 }, limits),
  ],
  [
    'mem_gb: 1.001 requested; 1 GiB is the most a job can have here',
    () => checkLimits({ ...plainRequest, mem_gb: 1.001 }, limits),
  ],
  [
    'time_limit: 61 requested; 1:00:00 is the most a job can have here',
    () => checkLimits({ ...plainRequest, time_limit: '61' }, limits),
  ],
  [
    'timeout: 3601 requested; 3600 s is the most a job can have here',
    () => checkLimits({ ...plainRequest, timeout: 3601 }, limits),
  ],
  [
    'gpus: 2 requested; 1 is the most a job can have here',
    () => checkGpus([gpu], { gpus: 2 }, 100),
  ],
  [
    'gpu_mem_gb: 41 requested; 40 GiB is the most a GPU has',
    () => checkGpus([gpu], { gpus: 0, gpu_mem_gb: 41 }, 100),
  ],
  [
    'allowed_gpus: unknown GPU 1; available: 0 to 0',
    () => checkGpus([gpu], { gpus: 1, allowed_gpus: [1] }, 100),
  ],
  [
    'gpus: 0.3 requested; 0.25 is the most you may have at once',
    () => checkUserGpuQuota(0.25, [gpu], { gpus: 0.3 }),
  ],
  [
    'gpu_mem_gb: 15 requested; 10 GiB is the most you may have at once',
    () => checkUserGpuQuota(0.25, [gpu], { gpus: 0, gpu_mem_gb: 15 }),
  ],
  ['partition: unknown partition "nowhere"; available: main', () => own.forPartition('nowhere')],
  [
    'partition: unknown partition "ssh"; available: main; SSH hosts are named in the file of JR_SSH_NODES',
    () => own.forPartition('ssh'),
  ],
  [
    'partition: name one of p; the external cluster has no default (JR_SLURM_PARTITION sets one)',
    () => external.forPartition(undefined),
  ],
  ['partition: unknown partition "q"; available: p', () => external.forPartition('q')],
  ['gpus: 3 requested; 2 is the most a node of p has', problemIn({ gpus: 3 })],
  [
    'gpus: 0.5 of a GPU requested, but partition p gives only whole GPUs (its Slurm has no shards of them); ask for 1',
    problemIn({ gpus: 0.5 }),
  ],
  [
    'gpu_mem_gb: the external cluster does not report the memory of its GPUs; ask with gpus',
    problemIn({ gpu_mem_gb: 4 }),
  ],
  ['gpu_type: partition p has no a100; available: t4', problemIn({ gpus: 1, gpu_type: 'a100' })],
  [
    'params.epochs: no such parameter; there is no parameter here',
    () => checkParams(params({}), { epochs: 1 }),
  ],
  ['params.epochs: is missing', () => checkParams(params({ epochs: {} }, ['epochs']), {})],
  [
    'params.epochs: must be integer',
    () => checkParams(params({ epochs: { type: 'integer' } }), { epochs: 'many' }),
  ],
  [
    'command_key: the template train has a broken parameter schema',
    () => checkParams(params({ epochs: { type: 'number', minimum: 'many' } }), {}),
  ],
])('%s', (sentence, act) => {
  expect(messageOf(act)).toBe(sentence);
});

test('limits that Slurm has not heard of name the remedy', async () => {
  const setAccount = () => Promise.reject(new SlurmError('unreachable', 'connection refused'));
  const accounts = new UserAccounts({ setAccount }, () => ({ running: 1, shards: null }));
  await expect(accounts.limitsChanged('alice', 'jr-job1')).rejects.toThrow(
    'the limits of alice are set and count from the next job on, but Slurm does not answer: set them again for queued jobs',
  );
});
