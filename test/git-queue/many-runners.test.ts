import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jobScript, QueueRepo, queueText } from './queue-repo.js';

jest.setTimeout(600_000);

const names = Array.from({ length: 50 }, (_, i) => `n${i}`);
let repo: QueueRepo;

beforeEach(() => {
  repo = new QueueRepo({
    'queue.csv': queueText(names).replaceAll('\n', '\r\n'),
    'job.py': jobScript,
  });
});

afterEach(() => repo.remove());

test('twelve runners run each of fifty jobs once, though some are killed and pushes fail at random', async () => {
  // One push in four is refused without a reason.
  repo.preReceive('n=$(od -An -N1 -tu1 /dev/urandom); [ "$n" -ge 64 ]');
  const before = repo.show('queue.csv');
  const flags = ['--lease', '1', '--sleep', '3', '--max-attempts', '0'];
  const gate = join(repo.folder, 'gate');
  const runners = Array.from({ length: 12 }, (_, i) =>
    repo.work(`w${i}`, flags, { JOB_SECONDS: '0.5', JOB_GATE: gate }),
  );
  // The first three runners with a job are killed while they run it; no job ends before that.
  const killed = new Set<(typeof runners)[number]>();
  for (const runner of runners)
    runner.child.stderr.on('data', () => {
      if (killed.size >= 3 || killed.has(runner) || !/claimed/.test(runner.said())) return;
      killed.add(runner);
      runner.child.kill('SIGKILL');
      if (killed.size === 3) writeFileSync(gate, '');
    });
  await repo.untilAll('run', 500_000);
  const left = runners.filter((runner) => !killed.has(runner));
  for (const { child } of left) child.kill('SIGTERM');
  const ends = await Promise.all(left.map((runner) => runner.ended));
  expect(killed.size).toBe(3);
  expect(ends.filter(({ code }) => code !== 0)).toEqual([]);

  // No row is lost or changed: except for the statuses, the file is the same, byte for byte.
  expect(repo.show('queue.csv')).toBe(before.replaceAll(',ready', ',run'));
  expect(repo.files().filter((path) => path.startsWith('results/'))).toHaveLength(50);
  for (const name of names) expect(repo.show(`results/${name}.txt`)).toBe(name);

  const history = repo.git('-C', repo.bare, 'log', '--format=%s', 'main').toLowerCase();
  const times = (words: string) => history.split(words).length - 1;
  // Each job is claimed once, unless its runner was killed, and has one outcome, whichever runner
  // still believed in its claim.
  expect(times('claim job.py')).toBe(50);
  expect(times('take over job.py')).toBeGreaterThanOrEqual(3);
  expect(times('set job.py to run')).toBe(50);
  const attempts = repo.records().map((record) => Number(record['attempts']));
  expect(attempts.reduce((sum, n) => sum + n)).toBe(50 + times('take over job.py'));
  expect(repo.records().every(({ status }) => status === 'run')).toBe(true);
});
