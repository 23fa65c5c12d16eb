import { expect, test } from '@jest/globals';
import { shareOf } from '../../src/queue-api/share.js';
import type { ResolvedHost } from '../../src/cluster/ssh-hosts/resolved-hosts.js';
import { parsePending, positionAmong } from '../../src/cluster/slurm/pending.js';
import { fleetOf } from './script-support.js';

const here = (gpus: number) => ({
  limits: { cpus: 16, memoryMb: 64 * 1024, maxTime: '1' },
  fleet: fleetOf(gpus),
});
const host = (count: number, cpus: number, memory_gb: number) =>
  ({ gpus: { count, type: 'H100', memory_gb: 80 }, cpus, memory_gb }) as ResolvedHost;

test('a job gets nine tenths of its GPUs’ part, so that every machine with these GPUs can run it', () => {
  const partition = 'main';
  expect(shareOf(1, here(0), [])).toEqual({ partition, gpus: 0, cpus: 1, mem_gb: undefined });
  expect(shareOf(1, here(4), [])).toEqual({ partition, gpus: 1, cpus: 3, mem_gb: 14745 / 1024 });
  expect(shareOf(0.5, here(4), [])).toMatchObject({ gpus: 0.5, cpus: 1, mem_gb: 7372 / 1024 });
  expect(shareOf(8, here(2), [])).toMatchObject({ gpus: 2, cpus: 14 });
  expect(shareOf(0, here(2), [])).toMatchObject({ gpus: 0, cpus: 1 });
  const hosts = [host(8, 96, 1000), host(1, 20, 50), host(0, 1, 1)];
  expect(shareOf(1, here(4), hosts)).toEqual({ partition: 'ssh', gpus: 1, cpus: 10, mem_gb: 45 });
  expect(shareOf(2, here(4), hosts)).toMatchObject({ gpus: 2, cpus: 21, mem_gb: 225 });
  expect(shareOf(1, here(4), [host(0, 4, 4)])).toMatchObject({ partition: 'ssh', gpus: 0 });
});

const line = (id: number, partition: string, priority: number, reason: string) =>
  String(id).padEnd(20) + partition.padEnd(80) + String(priority).padEnd(20) + reason.padEnd(64);

test('a queue position is the number of jobs that start before, in Slurm’s order', () => {
  const pending = parsePending(
    [
      line(7, 'main', 100, 'Resources'),
      line(8, 'main', 99, 'Priority'),
      line(9, 'main', 200, 'None'),
      line(10, 'ssh', 500, 'Resources'),
      line(11, 'main,ssh', 98, 'Priority'),
      line(12, 'main', 300, 'Dependency'),
      line(13, 'main', 0, 'JobHeldUser'),
      line(14, 'main', 98, 'Priority'),
      '',
    ].join('\n'),
  );
  const place = (id: number | null, partition = 'main') => positionAmong(pending, id, partition);
  expect([9, 7, 8, 11, 14].map((id) => place(id))).toEqual([0, 1, 2, 3, 4]);
  expect(place(12)).toBe(0);
  expect(place(13)).toBe(5);
  expect(place(11, 'ssh')).toBe(1);
  // Not yet in Slurm; in Slurm, but started meanwhile.
  expect(place(null)).toBe(5);
  expect(place(99)).toBe(0);
  expect(() => parsePending('nonsense')).toThrow('cannot be read: nonsense');
});
