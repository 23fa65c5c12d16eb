import { expect, test } from '@jest/globals';
import type { SlurmJob } from '../../src/cluster/slurm/job-record.js';
import { isFailedLaunch, mayBeFailedLaunch } from '../../src/jobs/failed-launch.js';
import { lastingLaunchFailure } from '../../src/jobs/failure.js';

const record = (fields: Partial<SlurmJob>): SlurmJob => ({
  slurmJobId: 3,
  state: 'CANCELLED',
  reason: null,
  exitCode: 0,
  signal: 0,
  submittedAt: 1,
  startedAt: 2,
  endedAt: 3,
  nodeList: 'box0',
  comment: 'a',
  ...fields,
});

test('only a cancelled job that Slurm gave to a node may be one that the node could not start', () => {
  expect(mayBeFailedLaunch(record({}))).toBe(true);
  expect(mayBeFailedLaunch(record({ startedAt: null, restarts: 1 }))).toBe(true);
  expect(mayBeFailedLaunch(record({ startedAt: null, restarts: 0 }))).toBe(false);
  expect(mayBeFailedLaunch(record({ state: 'FAILED' }))).toBe(false);
});

test('accounting tells a failed start from a cancellation by a user', () => {
  const failed = record({ state: 'NODE_FAIL' });
  const byRoot = record({ cancelledBy: 0 });
  const byUser = record({ cancelledBy: 994 });
  expect(isFailedLaunch([failed], 'a')).toBe(true);
  expect(isFailedLaunch([failed, byRoot], 'a')).toBe(true);
  expect(isFailedLaunch([failed, byUser], 'a')).toBe(false);
  // Slurm reuses job numbers.
  expect(isFailedLaunch([byUser, record({ state: 'NODE_FAIL', comment: 'b' })], 'a')).toBe(false);
  // Not known there yet.
  expect(isFailedLaunch([record({ state: 'RUNNING' })], 'a')).toBeUndefined();
  expect(isFailedLaunch([], 'a')).toBeUndefined();
});

test('a job that never started says which node could not start it, and how often', () => {
  expect(lastingLaunchFailure('box0', 5)).toEqual({
    failure: 'node',
    message: 'never started: box0 could not start it, 5 times; rerun it',
  });
});
