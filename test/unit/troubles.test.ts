import { beforeEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Troubles } from '../../src/ingest/troubles.js';

let lines: string[];
let troubles: Troubles;

beforeEach(() => {
  lines = [];
  troubles = new Troubles('gitlab', Date.now, pino({}, { write: (line) => lines.push(line) }));
});

function scan(count: number, messageOf: (index: number) => string): void {
  troubles.beginScan();
  for (let i = 0; i < count; i++) troubles.problem(`project: ${i}`, messageOf(i));
  troubles.endScan();
}

test('of problems without number the first are shown, and all are counted', () => {
  scan(300_000, () => 'has no command key here');
  expect(troubles.problems).toHaveLength(100);
  expect(troubles.problems[99]).toMatchObject({ where: 'project: 99' });
  expect(troubles.problemCount).toBe(300_000);
  expect(troubles.total).toBe(300_000);
  expect(lines).toHaveLength(21);
  expect(lines[20]).toContain('299980 more problems');
});

test('what a thousand others came before is not remembered, only how many there were', () => {
  scan(3000, () => 'before');
  scan(3000, (index) => (index < 1000 ? 'before' : 'after'));
  expect(troubles.total).toBe(3000);
  scan(3005, (index) => (index < 10 ? 'new' : 'before'));
  expect([troubles.total, troubles.problemCount]).toEqual([3015, 3005]);
  scan(2, () => 'new');
  expect(troubles.problemCount).toBe(2);
});

test('a problem is counted and logged when it is new, and again when it was away', () => {
  scan(2, () => 'bad');
  scan(2, () => 'bad');
  expect([troubles.total, lines.length]).toEqual([2, 2]);
  scan(0, () => '');
  scan(1, () => 'bad');
  expect([troubles.total, lines.length]).toEqual([3, 3]);
});
