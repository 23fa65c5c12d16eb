import { describe, expect, test } from '@jest/globals';
import { shardRequestFor, checkUserGpuQuota, shardsOf } from '../../src/cluster/gpus/request.js';
import type { Gpu } from '../../src/cluster/gpus/gpu.js';

const gpu = (index: number, gb: number): Gpu => ({
  index,
  device: `/dev/nvidia${index}`,
  uuid: null,
  model: 'GPU',
  memoryMb: gb * 1024,
});
const small = gpu(0, 40);
const gpus = [small, gpu(1, 80)];

describe('a limit on GPUs', () => {
  test.each([0.005, 0.07, 0.29, 0.295, 1, 1.5])(
    'of %d allows a request for exactly as much, and is at least one share',
    (most) => {
      const shards = shardsOf(most, 100);
      expect(shards).toBeGreaterThan(0);
      expect(shardRequestFor(small, { gpus: Math.min(most, 1) }, 100)?.shards).toBeLessThanOrEqual(
        shards,
      );
    },
  );

  test('of 0 means no limit', () => {
    expect(shardsOf(0, 100) || null).toBeNull();
  });

  test.each([
    [{ gpus: 2 }, 1, 'gpus', 1],
    [{ gpus: 0.3 }, 0.25, 'gpus', 0.25],
    [{ gpu_mem_gb: 25 }, 0.25, 'gpu_mem_gb', 20],
    [{ gpu_mem_gb: 15, allowed_gpus: [0] }, 0.25, 'gpu_mem_gb', 10],
  ])('refuses what could never start under it: %j, %d', (wish, most, field, limit) => {
    expect(checkUserGpuQuota(most, gpus, { gpus: 0, ...wish })).toMatchObject({
      code: 'unprocessable',
      details: { fields: [field], limit },
    });
  });

  test.each([
    [{ gpus: 1 }, 1],
    [{ gpus: 0 }, 0.25],
    [{ gpu_mem_gb: 20 }, 0.25],
    [{ gpu_mem_gb: 10, allowed_gpus: [0] }, 0.25],
  ])('accepts a request that fits: %j, %d', (wish, most) => {
    expect(checkUserGpuQuota(most, gpus, { gpus: 0, ...wish })).toBeUndefined();
  });
});
