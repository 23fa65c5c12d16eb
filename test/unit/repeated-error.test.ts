import { expect, test } from '@jest/globals';
import { RepeatedError } from '../../src/repeated-error.js';

test('a fault that lasts is logged once, later with its count, and its end is told', () => {
  let now = 0;
  const lines: unknown[] = [];
  const note = (facts: unknown, text?: string) => void lines.push([facts, text]);
  const trouble = new RepeatedError({ error: note, info: note }, 'polling failed', () => now);
  const full = new Error('disk is full');
  trouble.succeeded();
  for (let i = 0; i < 1000; i++) trouble.failed(full);
  expect(lines).toEqual([[{ err: full, times: 1 }, 'polling failed']]);
  now += 600_000;
  trouble.failed(full);
  expect(lines.at(-1)).toEqual([{ err: full, times: 1001 }, 'polling failed']);
  const other = new Error('another');
  trouble.failed(other);
  expect(lines.at(-1)).toEqual([{ err: other, times: 1 }, 'polling failed']);
  trouble.succeeded();
  trouble.succeeded();
  expect(lines).toHaveLength(4);
});
