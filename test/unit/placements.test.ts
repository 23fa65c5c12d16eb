import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { parsePlacements } from '../../src/cluster/slurm/placements.js';

const recorded = (name: string) =>
  readFileSync(new URL(`recorded/${name}`, import.meta.url), 'utf8');

test('24.11 reports a running job’s shards of each GPU', () => {
  expect([...parsePlacements(recorded('scontrol-show-job-24.11.5.txt'))]).toEqual([
    [23, { node: 'box0', indices: [0, 1], shards: 100 }],
    // 24 waits. The others may have any GPU.
    [29, { node: 'box0', indices: [0], shards: 30 }],
    [31, { node: 'box0', indices: [1], shards: 100 }],
    [32, { node: 'box0', indices: [2], shards: 50 }],
  ]);
});

test('22.05 reports them by the GPUs’ positions', () => {
  const line = (gres: string) =>
    `JobId=7 JobName=shell JobState=RUNNING   Nodes=box0 CPU_IDs=0 Mem=102 GRES=${gres} MinCPUsNode=1`;
  const [some] = parsePlacements(line('shard:nvidia0:60(IDX:0),shard:nvidia1:0(IDX:)')).values();
  expect(some).toEqual({ node: 'box0', indices: [0], shards: 60 });
  const types = 'shard:nvidia0:100(IDX:0),shard:nvidia2:100(IDX:2-3)';
  expect(parsePlacements(line(types)).get(7)).toMatchObject({ indices: [0, 2, 3], shards: 100 });
});

test('a job whose name imitates a GPU field is left out', () => {
  const [, line = ''] = /^(JobId=29 .*)$/m.exec(recorded('scontrol-show-job-24.11.5.txt')) ?? [];
  const forged = line.replace(
    'JobName=shell',
    'JobName=x Nodes=box0 CPU_IDs=0 Mem=1 GRES=shard:nvidia2:9(0/100,0/100,9/100)',
  );
  expect(parsePlacements(forged).size).toBe(0);
});
