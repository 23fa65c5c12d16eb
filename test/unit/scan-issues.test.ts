import { beforeEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { ScanIssues } from '../../src/ingest/scan-issues.js';

let lines: string[];
let issues: ScanIssues;

beforeEach(() => {
  lines = [];
  issues = new ScanIssues('gitlab', Date.now, pino({}, { write: (line) => lines.push(line) }));
});

function scan(count: number, messageOf: (index: number) => string): void {
  issues.beginScan();
  for (let i = 0; i < count; i++) issues.problem(`project: ${i}`, messageOf(i));
  issues.endScan();
}

test('of very many problems the first are shown, and all are counted', () => {
  scan(300_000, () => 'has no command key here');
  expect(issues.problems).toHaveLength(100);
  expect(issues.problems[99]).toMatchObject({ where: 'project: 99' });
  expect(issues.problemCount).toBe(300_000);
  expect(issues.total).toBe(300_000);
  expect(lines).toHaveLength(21);
  expect(lines[20]).toContain('299980 more problems');
});

test('problems after the first thousand are only counted', () => {
  scan(3000, () => 'before');
  scan(3000, (index) => (index < 1000 ? 'before' : 'after'));
  expect(issues.total).toBe(3000);
  scan(3005, (index) => (index < 10 ? 'new' : 'before'));
  expect([issues.total, issues.problemCount]).toEqual([3015, 3005]);
  scan(2, () => 'new');
  expect(issues.problemCount).toBe(2);
});

test('a problem is counted and logged when it is new, and again when it returns', () => {
  scan(2, () => 'bad');
  scan(2, () => 'bad');
  expect([issues.total, lines.length]).toEqual([2, 2]);
  scan(0, () => '');
  scan(1, () => 'bad');
  expect([issues.total, lines.length]).toEqual([3, 3]);
});
