import { expect, test } from '@jest/globals';
import { problemsOf } from '../../src/cli/ingest.js';
import type { IngestSourceView } from '../../src/ingest/replies.js';

const source = (more: Partial<IngestSourceView>): IngestSourceView => ({
  ...{ name: 'git-queue', worker: null, paused: null, interval_seconds: 10, max_jobs: null },
  ...{ last_scan: null, last_scan_seconds: null, last_error: null, errors: [], error_count: 0 },
  ...{ problems: [], problem_count: 0, found: 0, claimed: 0, running: 0, done: 0 },
  ...{ failed: 0, lost: 0 },
  ...more,
});

test('the reason for a failed scan is shown until a later scan completes', () => {
  const error = { at: '2026-01-31T12:00:01.000Z', message: 'no such\u001b[2J file' };
  const told = ['git-queue: 2026-01-31T12:00:01.000Z: no such [2J file'];
  expect(problemsOf(source({ last_error: error }))).toEqual(told);
  const before = { last_error: error, last_scan: '2026-01-31T12:00:00.000Z' };
  expect(problemsOf(source(before))).toEqual(told);
  const after = { last_error: error, last_scan: '2026-01-31T12:00:02.000Z' };
  expect(problemsOf(source(after))).toEqual([]);
});

test('of many problems, the first ones and the number of the others are shown', () => {
  const problems = [1, 2, 3, 4, 5, 6, 7].map((n) => ({
    ...{ at: '2026-01-31T12:00:00.000Z', where: n === 1 ? null : `line ${n}`, message: 'bad' },
  }));
  const lines = problemsOf(source({ problems, problem_count: 9 }));
  expect(lines).toHaveLength(6);
  expect(lines.slice(0, 2)).toEqual(['git-queue: bad', 'git-queue: line 2: bad']);
  expect(lines.at(-1)).toBe('git-queue: 4 more problems; --json has them');
});
