import { afterEach, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { claimJob } from '../../src/ingest/git-queue/transitions.js';
import { runGit, safeConfig } from '../../src/ingest/git-queue/git.js';
import { Queue } from '../../src/ingest/git-queue/queue.js';
import { readyJobs } from '../../src/ingest/git-queue/queue-state.js';
import { Repository } from '../../src/ingest/git-queue/repository.js';
import { GitQueueSource } from '../../src/ingest/git-queue/source.js';
import { QueueRepo, queueText } from './queue-repo.js';

const leaseMs = 15 * 60_000;

let repo: QueueRepo;
afterEach(() => repo.remove());

test('a dead server’s job is found however rarely the server scans', async () => {
  repo = new QueueRepo({ 'queue.csv': queueText(['a']), 'job.py': '' });
  const git = { env: repo.env({}), config: safeConfig(['file']) };
  const gitDir = join(repo.folder, 'copy.git');
  await runGit(git, ['init', '--quiet', '--bare', gitDir]);
  const repository = new Repository({
    ...{ git, url: repo.url, branch: 'main', gitDir, shallow: true, name: 'test' },
  });
  let now = Date.now();
  const queue = new Queue({
    ...{ repository, queueFile: 'queue.csv', now: () => now },
    by: { name: 'tester', email: 'tester@localhost' },
  });
  const source = new GitQueueSource({
    ...{ queue, resultsDir: 'results', maxJobAttempts: 3, leaseMs, gpus: 0, now: () => now },
    limits: { fileBytes: 1024 ** 2, totalBytes: 1024 ** 2, files: 10 },
  });
  const keys = async () => {
    const found: string[] = [];
    const notes = {
      problem: () => undefined,
      retrying: () => undefined,
      cancelled: () => undefined,
    };
    for await (const { key } of source.scan(notes, new AbortController().signal)) found.push(key);
    return found;
  };
  const [job] = readyJobs(await queue.look());
  if (job === undefined) throw new Error('the row was not found');
  const dead = { worker: 'dead', nonce: 'n', leaseUntil: now - 1000 };
  await queue.change((state) => claimJob(state, job.key, undefined, dead, now));
  expect(await keys()).toEqual([]);
  now += 10 * leaseMs;
  expect(await keys()).toEqual([job.key]);
});
