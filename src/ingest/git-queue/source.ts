import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import pLimit from 'p-limit';
import { z } from 'zod';
import { AppError, fieldError } from '../../errors.js';
import { submitSchema } from '../../jobs/request.js';
import { ExpiredLeases } from '../expired-leases.js';
import { jobName } from '../job-name.js';
import type { Outcome } from '../outcome.js';
import type { Claim, IngestItem, IngestRequest, IngestSource, ScanNotes } from '../source.js';
import { confinedResults } from './confined-results.js';
import { claimJob, endJob, giveUpJob, leaseOf, renewJob, type Ending } from './transitions.js';
import { TooLargeError } from './git.js';
import { logLines } from './log-lines.js';
import type { Queue } from './queue.js';
import { readyJobs, runningJobs, type OpenJob, type QueueState } from './queue-state.js';
import { writeEnding } from './refused-results.js';
import { storeResults, type ResultLimits } from './results.js';
import { readArgs, readKwargs, toWords } from './row-arguments.js';
import { fieldsOf, firstProblem } from '../../schema-problems.js';

export const GIT_QUEUE = 'git-queue';

/** Maximum size of a checkout; the service holds the archive in memory. */
const maxCheckoutBytes = 256 * 1024 ** 2;

/** Maximum length of a message in a claim, in characters. */
const maxMessageLength = 2000;

const itemSchema = z.object({
  key: z.string(),
  line: z.number(),
  script: z.string(),
  args: z.string(),
  kwargs: z.string(),
  /** Commit whose checkout the job runs in. */
  commit: z.string(),
  /** Nonce of the expired claim; null without one. */
  replaces: z.string().nullable(),
});
type GitQueueItem = z.infer<typeof itemSchema> & IngestItem;

export interface GitQueueParts {
  queue: Queue;
  /** Results folder, from the repository’s root. */
  resultsDir: string;
  limits: ResultLimits;
  maxJobAttempts: number;
  leaseMs: number;
  /** GPUs of each job. */
  gpus: number;
  now: () => number;
}

/**
 * A queue in a git repository as an ingest source. Its rows become Slurm jobs, each in a checkout
 * of the commit in which the row was found.
 */
export class GitQueueSource implements IngestSource<GitQueueItem> {
  readonly name = GIT_QUEUE;
  readonly itemSchema = itemSchema;
  readonly #parts: GitQueueParts;
  readonly #leases: ExpiredLeases;
  /**
   * Packs one archive at a time: this happens in memory, and all jobs may be claimed in one second.
   */
  readonly #oneByOne = pLimit(1);

  constructor(parts: GitQueueParts) {
    this.#parts = parts;
    this.#leases = new ExpiredLeases(parts.leaseMs, parts.now);
  }

  async *scan(notes: ScanNotes, signal: AbortSignal): AsyncGenerator<GitQueueItem> {
    const { queue, maxJobAttempts, now } = this.#parts;
    const state = await queue.look(signal);
    this.#leases.beginScan();
    for (const { where, message } of state.problems) notes.problem(where, message);
    const running = runningJobs(state);
    const kept = new Set(running.map(({ key }) => key));
    for (const [key, record] of state.records)
      if (record?.status === 'running' && !kept.has(key)) notes.cancelled(key);
    // Random order: servers that all begin with the first row would collide.
    for (const job of shuffled(readyJobs(state))) yield toItem(state, job);
    for (const job of running) {
      const { nonce, attempts } = job.replaces;
      if (nonce === null) continue;
      const leaseUntil = leaseOf(job.replaces);
      if (!this.#leases.mayTakeOver(job.key, { nonce, leaseUntil })) continue;
      if (attempts < maxJobAttempts) yield toItem(state, job);
      else
        await queue.change(
          (newest) =>
            giveUpJob(newest, job.key, nonce, { maxAttempts: maxJobAttempts, now: now() }),
          signal,
        );
    }
  }

  claim({ key, replaces }: GitQueueItem, claim: Claim, signal: AbortSignal) {
    const { queue, now } = this.#parts;
    return queue.change(
      (state) => claimJob(state, key, replaces ?? undefined, claim, now()),
      signal,
    );
  }

  /** @throws AppError unprocessable when no checkout can run the row */
  async request(item: GitQueueItem, _claim: Claim, signal: AbortSignal): Promise<IngestRequest> {
    const { resultsDir, gpus } = this.#parts;
    await this.#checkScript(item, signal);
    const parsed = submitSchema.safeParse({
      command_key: 'git_queue',
      name: jobName(item.script.split('/').at(-1) ?? ''),
      gpus,
      args: toWords(readArgs(item.args), readKwargs(item.kwargs)),
      params: { script: item.script, results: resultsDir },
    });
    if (!parsed.success) {
      const details = { fields: fieldsOf(parsed.error, 'job') };
      throw new AppError('bad_request', firstProblem(parsed.error), { details });
    }
    const content = await this.#oneByOne(() => this.#pack(item.commit, signal));
    return { fields: parsed.data, script: { name: 'checkout.tar.gz', content } };
  }

  async #pack(commit: string, signal: AbortSignal): Promise<Buffer> {
    const { repository } = this.#parts.queue.parts;
    try {
      return await promisify(gzip)(await repository.archive(commit, maxCheckoutBytes, signal));
    } catch (error) {
      if (!(error instanceof TooLargeError)) throw error;
      throw new AppError(
        'unprocessable',
        `the repository’s files exceed ${maxCheckoutBytes / 1024 ** 2} MiB: keep data out of it`,
      );
    }
  }

  renew({ key }: GitQueueItem, claim: Claim, _progress: unknown, signal: AbortSignal) {
    const { queue, now } = this.#parts;
    return queue.change((state) => renewJob(state, key, claim, now()), signal);
  }

  async report(item: GitQueueItem, claim: Claim, outcome: Outcome, signal: AbortSignal) {
    const { queue, maxJobAttempts: maxAttempts, now } = this.#parts;
    const ending = await this.#endingOf(item, outcome, signal);
    return writeEnding(ending, (end) =>
      queue.change(
        (state) => endJob(state, item.key, claim, end, { maxAttempts, now: now() }),
        signal,
      ),
    );
  }

  async #checkScript({ script, commit }: GitQueueItem, signal: AbortSignal): Promise<void> {
    const refuse = (why: string) => fieldError('unprocessable', 'script', `${script} ${why}`);
    if (script.startsWith('/') || script.split('/').includes('..'))
      throw refuse('is outside the repository; give a path from its root');
    const path = script.replace(/^(\.\/)+/, '');
    const [entry] = await this.#parts.queue.parts.repository.list(commit, [path], signal);
    if (entry?.path !== path) throw refuse('is not in the repository');
    if (!entry.mode.startsWith('100')) throw refuse('is not a regular file in the repository');
  }

  async #endingOf(item: GitQueueItem, outcome: Outcome, signal: AbortSignal): Promise<Ending> {
    const { queue, resultsDir, limits } = this.#parts;
    const stored =
      outcome.outputDir === null
        ? { results: [], files: [], left: 0 }
        : await storeResults(
            queue.parts.repository,
            item.commit,
            resultsDir,
            confinedResults(outcome.outputDir),
            limits,
            signal,
          );
    return {
      kind: kindOf(outcome.status),
      exitCode: outcome.exitCode,
      message: outcome.message && outcome.message.slice(0, maxMessageLength),
      log: [
        ...logLines(outcome.log),
        ...(stored.left > 0 ? [`jobrunner: ${stored.left} result files are left out`] : []),
      ],
      results: stored.results,
      files: stored.files,
      jobId: outcome.jobId,
    };
  }
}

function kindOf(status: Outcome['status']): Ending['kind'] {
  if (status === 'COMPLETED') return 'succeeded';
  // A cancelled or impossible job is not tried again.
  return status === 'CANCELLED' || status === 'REJECTED' ? 'refused' : 'failed';
}

function toItem(state: QueueState, { key, row, replaces }: OpenJob): GitQueueItem {
  if (state.commit === undefined) throw new Error('a branch without a commit has no jobs');
  const { line, script, args, kwargs } = row;
  return {
    key,
    line,
    script,
    args,
    kwargs,
    commit: state.commit,
    replaces: replaces?.nonce ?? null,
  };
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
