import { describe, expect, test } from '@jest/globals';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../src/config/config.js';
import { readNodeGres, sharesPerGpu, usedShards } from '../../src/cluster/external/gres.js';
import type { ExternalPartition } from '../../src/cluster/external/inventory.js';
import { ExternalTargets } from '../../src/jobs/placement/external.js';
import { ExternalQueueTargets } from '../../src/queue-api/external-targets.js';
import type { Job } from '../../src/jobs/job.js';
import type { SlurmNode } from '../../src/cluster/slurm/nodes.js';
import { parsePartitions } from '../../src/cluster/slurm/external/partitions.js';
import { refusal } from '../refusal.js';
import { plainRequest, runScript } from './script-support.js';

const external = { JR_ROOT: '/nonexistent/jr', JR_SLURM_MODE: 'external' };

describe('settings of an external cluster', () => {
  test.each([
    [{ JR_SSH_NODES: '/x' }, /JR_SSH_NODES: cannot be set with JR_SLURM_MODE=external/],
    [{ JR_JOIN_PORT: '7000', JR_SIMULATE_GPUS: '2' }, /JR_JOIN_PORT, JR_SIMULATE_GPUS: cannot/],
    [{ JR_USER_MAX_GPUS: '2' }, /the external cluster’s own associations/],
    [{ JR_SLURM_JWT: 'a.b.c' }, /JR_SLURM_JWT: needs JR_SLURMRESTD_URL/],
    [{ JR_SLURMRESTD_URL: 'http://h:1' }, /one of JR_SLURM_JWT and JR_SLURM_JWT_FILE/],
    [{ JR_SLURMRESTD_URL: 'http://me:secret@h:1' }, /JR_SLURMRESTD_URL: expected/],
    [{ JR_SLURM_MODE: 'internal', JR_SLURM_QOS: 'q' }, /JR_SLURM_QOS: needs JR_SLURM_MODE=ext/],
  ])('that exclude each other stop the start: %j', (settings, message) => {
    expect(() => readConfig({ ...external, ...settings })).toThrow(message);
  });

  test('are read, with polls every five seconds by default', () => {
    const config = readConfig({ ...external, JR_SLURM_ACCOUNT: 'phys', PATH: '/opt/slurm/bin' });
    expect(config.external).toMatchObject({
      access: { kind: 'commands', path: '/opt/slurm/bin', user: undefined },
      account: 'phys',
    });
    expect(config.pollSeconds).toBe(5);
    expect(readConfig({ JR_ROOT: '/x' }).external).toBeUndefined();
  });

  test('never show a token', () => {
    const jwt = 'not a token';
    const read = () =>
      readConfig({ ...external, JR_SLURMRESTD_URL: 'http://h:1', JR_SLURM_JWT: jwt });
    expect(read).toThrow(/JR_SLURM_JWT/);
    expect(read).not.toThrow(jwt);
  });
});

test('GPUs of a node are counted by type, whatever is in brackets', () => {
  const gpus = readNodeGres('gpu:a100:2(S:0,1),gpu:t4:1,shard:a100:200(0/100,0/100),fpga:1');
  const whole = new Map(Object.entries({ a100: 2, t4: 1 }));
  expect(gpus).toEqual({ whole, shards: new Map([['a100', 200]]) });
  expect(readNodeGres('gpu:0').whole.get('')).toBe(0);
  expect(readNodeGres(null)).toEqual({ whole: new Map(), shards: new Map() });
});

test('shares are counted by the type of their GPU, in Slurm’s observed formats', () => {
  const mixed = readNodeGres('gpu:a100:1,gpu:v100:1,shard:a100:0,shard:v100:1K');
  expect(sharesPerGpu(mixed)).toEqual([1024]);
  expect([sharesPerGpu(mixed, 'v100'), sharesPerGpu(mixed, 'a100')]).toEqual([[1024], []]);
  expect(sharesPerGpu(readNodeGres('gpu:2,shard:8')).every((each) => each === 4)).toBe(true);
  expect(sharesPerGpu(readNodeGres('gpu:a100:2,gpu:v100:2,shard:8'))).toEqual([2]);
  expect(sharesPerGpu(readNodeGres('gpu:2'))).toEqual([]);
  // 24.11 reports the shares, and 22.05 only their GPUs.
  expect(usedShards('gpu:a100:0(IDX:N/A),shard:a100:3(3/4,0/4),shard:v100:1(1/2)')).toBe(4);
  expect(usedShards('gpu:0,shard:(null):2(IDX:0-1)')).toBeNull();
  expect(usedShards('gpu:1,shard:(null):0(IDX:N/A)')).toBe(0);
  expect(usedShards(null)).toBe(0);
});

test('scontrol’s partitions are read, and any other line is an error', () => {
  const line =
    'PartitionName=gpu Default=YES DefaultTime=NONE MaxTime=1-00:00:00 MaxMemPerNode=3000 MaxCPUsPerNode=UNLIMITED State=UP';
  expect(parsePartitions(`${line}\n`)).toEqual([
    {
      name: 'gpu',
      isDefault: true,
      state: 'UP',
      maxTime: 86400,
      defaultTime: null,
      maxMemoryMb: 3000,
      maxCpus: null,
    },
  ]);
  expect(() => parsePartitions('nonsense')).toThrow(/cannot be read/);
});

describe('a partition of an external cluster', () => {
  const node = (name: string, gres: string | null, more: Partial<SlurmNode> = {}): SlurmNode => ({
    ...{ name, gres, state: 'idle', partition: 'p', cpus: 8, cpusAllocated: 0 },
    ...{ memoryMb: 16_384, memoryAllocatedMb: 0, gresUsed: null, reason: null },
    ...more,
  });
  const partition = (name: string, ...nodes: SlurmNode[]): ExternalPartition => ({
    ...{ name, isDefault: null, state: 'UP', maxTime: 7200, defaultTime: 600 },
    ...{ maxMemoryMb: null, maxCpus: 4, nodes },
  });
  const targetsWith = (defaultPartition?: string, ...partitions: ExternalPartition[]) =>
    new ExternalTargets(
      { partitions: () => partitions },
      { partition: defaultPartition, maxTime: 3600 },
    );

  test('has the smallest limits of partition, nodes and JR_MAX_TIME', () => {
    const here = targetsWith('p', partition('p', node('a', null))).forPartition(undefined);
    expect(here.limits).toEqual({
      cpus: 4,
      memoryMb: 16_384,
      maxTime: '0-01:00:00',
      defaultTime: '0-00:10:00',
    });
  });

  test('accepts any memory if the external cluster does not configure memory', () => {
    const here = targetsWith('p', partition('p', node('a', null, { memoryMb: 1 }))).forPartition(
      'p',
    );
    expect(here.problemWith({ ...plainRequest, mem_gb: 500 })).toBeUndefined();
  });

  test('must be named if the external cluster has no default', () => {
    const two = targetsWith(undefined, partition('p', node('a', null)), partition('q'));
    expect(() => two.forPartition(undefined)).toThrow(refusal('unprocessable', 'partition'));
    expect(() => two.forPartition('main')).toThrow(refusal('unprocessable', 'partition'));
  });

  test('that is gone is undefined for its former jobs', () => {
    const parts = [partition('p', node('a', null))];
    const targets = new ExternalTargets(
      { partitions: () => parts },
      { partition: 'p', maxTime: 3600 },
    );
    const queue = new ExternalQueueTargets(targets, { partitions: () => parts });
    const jobIn = (name?: string) => ({ request: { ...plainRequest, partition: name } }) as Job;
    expect(queue.partitionOf(jobIn())).toBe('p');
    expect(queue.onlyNodeOf(jobIn('p'))).toBe('a');
    expect(queue.partitionOf(jobIn('gone'))).toBeUndefined();
    expect(queue.onlyNodeOf(jobIn('gone'))).toBeUndefined();
  });

  test('gives whole GPUs by number and type, and shares as the external cluster’s own shards', () => {
    const mixed = partition('p', node('a', 'gpu:a100:2,shard:20'), node('b', 'gpu:t4:4'));
    const here = targetsWith('p', mixed).forPartition('p');
    const gres = (more: object) => here.chooseGpus({ ...plainRequest, ...more }, [])?.gres;
    expect(gres({})).toBeUndefined();
    expect(gres({ gpus: 3 })).toBe('gpu:3');
    expect(gres({ gpus: 2, gpu_type: 'a100' })).toBe('gpu:a100:2');
    expect(gres({ gpus: 0.25 })).toBe('shard:3');
    expect(() => gres({ gpus: 3, gpu_type: 'a100' })).toThrow(refusal('unprocessable', 'gpus'));
    expect(() => gres({ gpus: 0.5, gpu_type: 't4' })).toThrow(refusal('unprocessable', 'gpus'));
    expect(() => gres({ gpu_mem_gb: 4 })).toThrow(refusal('unprocessable', 'gpu_mem_gb'));
    const whole = targetsWith('p', partition('p', node('b', 'gpu:t4:4'))).forPartition('p');
    expect(whole.problemWith({ ...plainRequest, gpus: 0.5 })).toEqual(
      refusal('unprocessable', 'gpus'),
    );
  });

  test('gives shares of a type, and refuses a request that no single node can meet', () => {
    const mixed = partition(
      'p',
      node('a', 'gpu:a100:2,gpu:v100:1,shard:a100:8,shard:v100:2', { memoryMb: 2048 }),
      node('b', 'gpu:v100:4'),
    );
    const here = targetsWith('p', mixed).forPartition('p');
    const ask = (more: object) => {
      const request = { ...plainRequest, mem_gb: 1, ...more };
      const problem = here.problemWith(request);
      if (problem) throw problem;
      return here.chooseGpus(request, [])?.gres;
    };
    expect(ask({ gpus: 0.5, gpu_type: 'a100' })).toBe('shard:a100:2');
    expect(ask({ gpus: 0.5, gpu_type: 'v100' })).toBe('shard:v100:1');
    expect(ask({ gpus: 0.3 })).toBe('shard:2');
    expect(ask({ gpus: 4, gpu_type: 'v100', mem_gb: 10 })).toBe('gpu:v100:4');
    expect(() => ask({ gpus: 1, gpu_type: 'a100', mem_gb: 10 })).toThrow(
      refusal('unprocessable', 'partition'),
    );
    expect(() => ask({ gpus: 0.5, mem_gb: 10 })).toThrow(refusal('unprocessable', 'partition'));
  });
});

test('a script on an external cluster leaves the GPUs unchanged, and reports its end', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jr-site-'));
  const external = { jobEndedFile: join(folder, 'last'), sharesByGroup: true };
  const { stdout } = runScript(
    { external, request: { ...plainRequest, gpus: 1 } },
    'echo "$CUDA_VISIBLE_DEVICES $JR_CUDA ${JR_GPU_FRACTION} ${SLURM_TIME_FORMAT-none} ${HOME:+home} $(umask)"',
    { CUDA_VISIBLE_DEVICES: '2', SLURM_TIME_FORMAT: '%s' },
  );
  expect(stdout).toContain('2 2 1.000000 none home 0007');
  expect(existsSync(external.jobEndedFile)).toBe(true);
  rmSync(folder, { recursive: true });
});
