import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Job, JobRequest } from '../../src/jobs/job.js';
import { mayUseLocalGpus, mayBeRemote } from '../../src/jobs/placement/target.js';
import { OwnTargets } from '../../src/jobs/placement/own-cluster.js';
import { HostList } from '../../src/cluster/ssh-hosts/host-list.js';
import type { ResolvedHost } from '../../src/cluster/ssh-hosts/resolved-hosts.js';
import { refusal } from '../refusal.js';

let folder: string;
let path: string;

const local = {
  limits: { cpus: 2, memoryMb: 4096, maxTime: '1-00:00:00' },
  fleet: { gpus: [], shardsPerGpu: 100, gpuType: 'nvidia' },
  isClosed: () => false,
};

const host = (name: string, more: Partial<ResolvedHost>): ResolvedHost => ({
  name,
  host: '10.0.0.1',
  port: 22,
  user: 'gpuuser',
  identity_path: null,
  password_path: null,
  proxy_jump: [],
  gpus: { count: 0, type: 'GPU', memory_gb: 1 },
  cpus: 8,
  memory_gb: 64,
  workdir: 'jobrunner',
  labels: {},
  leaving: false,
  ...more,
});

const ask = (more: Partial<JobRequest>) =>
  ({ partition: 'ssh', gpus: 0, cpus: 1, mem_gb: 1, time_limit: '60', ...more }) as JobRequest;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-targets-'));
  path = join(folder, 'hosts.json');
});
afterAll(() => rmSync(folder, { recursive: true }));

function targetsWith(hosts: ResolvedHost[]): OwnTargets {
  writeFileSync(path, JSON.stringify({ hosts, problem: null }));
  return new OwnTargets(local, new HostList(path));
}

describe('a partition', () => {
  test('that does not exist is refused, with the available ones', () => {
    const none = targetsWith([]);
    const unknown = (partitions: string[]) =>
      expect.objectContaining({
        code: 'unprocessable',
        details: { fields: ['partition'], partitions },
      }) as unknown as Error;
    expect(() => none.forPartition('nowhere')).toThrow(unknown(['main']));
    expect(() => none.forPartition('ssh')).toThrow(unknown(['main']));
    const some = targetsWith([host('a', {})]);
    expect(() => some.forPartition('nowhere')).toThrow(unknown(['main', 'ssh', 'any']));
    expect(some.forPartition('ssh').folderOwner).toBe('jr-remote');
    expect(some.forPartition(undefined).folderOwner).toBe('job-user');
  });

  test('whose hosts are all leaving does not count', () => {
    expect(() => targetsWith([host('a', { leaving: true })]).forPartition('ssh')).toThrow(
      refusal('unprocessable', 'partition'),
    );
  });
});

describe('a job on SSH hosts', () => {
  const h100 = host('big', { gpus: { count: 8, type: 'H100', memory_gb: 80 } });
  const a10 = host('small', { cpus: 32, gpus: { count: 2, type: 'A10', memory_gb: 24 } });

  test.each([
    [{ cpus: 33 }, 'cpus', { asked: 33, limit: 32 }],
    [{ mem_gb: 65 }, 'mem_gb', { asked: 65, limit: 64 }],
    [{ time_limit: '2-00:00:00' }, 'time_limit', { limit: '1-00:00:00' }],
    [{ gpus: 9 }, 'gpus', { asked: 9, limit: 8 }],
    [{ gpu_mem_gb: 81 }, 'gpu_mem_gb', { asked: 81, limit: 80 }],
    [{ gpus: 1, allowed_gpus: [8] }, 'allowed_gpus', {}],
    [{ cpus: 32, gpus: 8 }, 'partition', {}],
    [{ screen: true }, 'screen', {}],
  ])('that asks for %j is refused', (fields, field, facts) => {
    const place = targetsWith([a10, h100]).forPartition('ssh');
    const details = { fields: [field], ...facts };
    expect(place.problemWith(ask(fields))).toMatchObject({ code: 'unprocessable', details });
  });

  test('may request what one host has', () => {
    const place = targetsWith([a10, h100]).forPartition('ssh');
    for (const fields of [{ cpus: 32, gpus: 2 }, { gpus: 8 }, { gpu_mem_gb: 80 }, { gpus: 0.5 }])
      expect(place.problemWith(ask(fields))).toBeUndefined();
  });

  test('that requests GPU memory gets shares of the smallest sufficient GPUs, on those or larger ones', () => {
    const targets = targetsWith([a10, h100]);
    const chosenFor = (request: JobRequest) => targets.forPartition('ssh').chooseGpus(request, []);
    const half = { on: [], shards: 50 };
    const small = ask({ gpu_mem_gb: 12 });
    expect(chosenFor(small)).toEqual({ gres: 'shard:50', gpu_shards: half });
    expect(targets.constraintOf(small, half)).toBeUndefined();
    const large = ask({ gpu_mem_gb: 40 });
    expect(chosenFor(large)).toEqual({ gres: 'shard:50', gpu_shards: half });
    expect(targets.constraintOf(large, half)).toBe('gpumem81920');
  });

  test('gets GPUs by their index on the host', () => {
    const place = targetsWith([a10, h100]).forPartition('ssh');
    const request = ask({ gpus: 2, allowed_gpus: [3, 5, 7] });
    const gpu_shards = { on: [3], shards: 100 };
    const job = { request: ask({}), node_list: null, gpu_shards, gpu_indices: null };
    expect(place.chooseGpus(request, [job as unknown as Job])).toEqual({
      gres: 'shard:nvidia5:100,shard:nvidia7:100',
      gpu_shards: { on: [5, 7], shards: 100 },
    });
  });

  test('sees hosts that joined later', () => {
    const targets = targetsWith([a10]);
    expect(targets.forPartition('ssh').problemWith(ask({ gpus: 8 }))).toMatchObject({
      details: { fields: ['gpus'], limit: 2 },
    });
    writeFileSync(path, JSON.stringify({ hosts: [a10, h100], problem: null }));
    expect(targets.forPartition('ssh').problemWith(ask({ gpus: 8 }))).toBeUndefined();
  });
});

describe('a job for any target', () => {
  const gpu = (index: number, memoryMb = 24_576) => ({
    ...{ index, device: '', uuid: `GPU-${index}`, model: 'A10', memoryMb },
  });
  const own = { ...local, fleet: { ...local.fleet, gpus: [gpu(0), gpu(1)] } };
  const h100 = host('big', { gpus: { count: 8, type: 'H100', memory_gb: 80 } });
  const tiny = host('tiny', { gpus: { count: 1, type: 'T', memory_gb: 8 } });
  const any = (more: Partial<JobRequest>) => ask({ partition: 'any', ...more });

  function sent(asked: JobRequest, hosts: ResolvedHost[], here = own) {
    writeFileSync(path, JSON.stringify({ hosts, problem: null }));
    const targets = new OwnTargets(here, new HostList(path));
    const problem = targets.forPartition(asked.partition).problemWith(asked);
    if (problem) throw problem;
    const request = targets.resolvePartition(asked);
    const place = targets.forPartition(request.partition);
    const { gres = null, gpu_shards = null } = place.chooseGpus(request, []) ?? {};
    const partition = targets.partitionOf(request);
    return { partition, gres, constraint: targets.constraintOf(request, gpu_shards) };
  }

  test('is, without SSH hosts, like a job without a partition', () => {
    expect(sent(any({}), [])).toMatchObject({ partition: undefined, gres: null });
  });

  test.each<[Partial<JobRequest>, object]>([
    [{}, { partition: 'main,ssh', gres: null }],
    [{ cpus: 5 }, { partition: 'ssh' }],
    [{ screen: true }, { partition: 'main' }],
    [{ requeue: true }, { partition: 'main' }],
    [{ gpus: 0.5 }, { partition: 'main,ssh', gres: 'shard:50', constraint: undefined }],
    [
      { gpus: 3 },
      { partition: 'ssh', gres: 'shard:nvidia0:100,shard:nvidia1:100,shard:nvidia2:100' },
    ],
    // An index that exists here must exist there.
    [{ gpus: 2 }, { partition: 'main,ssh', gres: 'shard:nvidia0:100,shard:nvidia1:100' }],
    [
      { gpus: 1, allowed_gpus: [1] },
      { partition: 'main,ssh', gres: 'shard:nvidia1:100' },
    ],
    [
      { gpus: 1, allowed_gpus: [7] },
      { partition: 'ssh', gres: 'shard:nvidia7:100' },
    ],
    // As many shares as the smaller GPUs need, which are this machine's.
    [{ gpu_mem_gb: 12 }, { partition: 'main,ssh', gres: 'shard:50', constraint: undefined }],
    [{ gpu_mem_gb: 60 }, { partition: 'ssh', gres: 'shard:75', constraint: undefined }],
  ])('that requests %j goes to the target that has it', (fields, expected) => {
    expect(sent(any(fields), [h100])).toMatchObject(expected);
  });

  test('is kept off GPUs that are too small, there and here', () => {
    expect(sent(any({ gpu_mem_gb: 12 }), [h100, tiny])).toEqual({
      ...{ partition: 'main,ssh', gres: 'shard:50', constraint: 'gpumem81920|gpumem24576' },
    });
    const uneven = { ...own, fleet: { ...own.fleet, gpus: [gpu(0), gpu(1, 8192)] } };
    expect(sent(any({ gpu_mem_gb: 12 }), [h100], uneven)).toMatchObject({ partition: 'ssh' });
    const both = { ...own, fleet: { ...own.fleet, gpus: [gpu(0), gpu(1, 8192)] } };
    expect(sent(any({ gpu_mem_gb: 12 }), [tiny], both)).toMatchObject({
      ...{ partition: 'main', gres: 'shard:nvidia0:50' },
    });
  });

  test.each<[Partial<JobRequest>, string]>([
    [{ cpus: 9 }, 'cpus'],
    [{ gpus: 9 }, 'gpus'],
    [{ screen: true, cpus: 5 }, 'screen'],
  ])('that asks for %j is refused', (fields, field) => {
    expect(() => sent(any(fields), [h100])).toThrow(refusal('unprocessable', field));
  });

  test('counts as local until it has started elsewhere', () => {
    const of = (node_list: string | null) => ({ request: any({}), node_list });
    expect([null, 'box0', 'big'].map((node) => mayUseLocalGpus(of(node)))).toEqual([
      true,
      true,
      false,
    ]);
    expect([null, 'box0', 'big'].map((node) => mayBeRemote(of(node)))).toEqual([true, false, true]);
  });
});
