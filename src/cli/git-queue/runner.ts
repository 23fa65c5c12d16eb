import { randomBytes } from 'node:crypto';
import { AppError } from '../../errors.js';
import { sleep } from '../../every.js';
import { ExpiredLeases } from '../../ingest/expired-leases.js';
import {
  after,
  claimJob,
  giveUpJob,
  leaseOf,
  together,
  type Transition,
  type Ending,
} from '../../ingest/git-queue/transitions.js';
import type { Claim } from '../../ingest/source.js';
import { GitError } from '../../ingest/git-queue/git.js';
import type { Queue } from '../../ingest/git-queue/queue.js';
import {
  readyJobs,
  runningJobs,
  type OpenJob,
  type QueueState,
} from '../../ingest/git-queue/queue-state.js';
import { writeEnding } from '../../ingest/git-queue/refused-results.js';
import { JobRun, type JobSettings } from './job-run.js';
import type { RunnerLog } from './runner-log.js';

/** Longest pause between attempts to reach a repository that does not answer. */
const longestPauseMs = 60_000;

export interface RunnerSettings extends JobSettings {
  runner: string;
  sleepSeconds: number;
  /** Checks without a job after which the runner ends; 0 means never. */
  maxAttempts: number;
}

/** Claims jobs of a queue one after another, and runs them here. */
export class Runner {
  readonly #queue: Queue;
  readonly #settings: RunnerSettings;
  readonly #log: RunnerLog;

  readonly #leases: ExpiredLeases;
  readonly #stopping = new AbortController();
  readonly #told = new Set<string>();
  #job: JobRun | undefined;
  #failedCount = 0;

  constructor(queue: Queue, settings: RunnerSettings, log: RunnerLog) {
    this.#queue = queue;
    this.#settings = settings;
    this.#log = log;

    this.#leases = new ExpiredLeases(settings.leaseMs, Date.now);
  }

  /** Ends the running job, gives it back, and claims no other. */
  stop(): void {
    this.#stopping.abort();
    void this.#job?.giveBack();
  }

  /** Number of jobs that failed here for good. */
  get failedCount(): number {
    return this.#failedCount;
  }

  /**
   * Resolves when no job has been ready for long enough, or after {@link stop}.
   * @throws the failure of this machine, after its job is given back
   */
  async run(): Promise<void> {
    const { sleepSeconds, maxAttempts } = this.#settings;
    let idle = 0;
    while (!this.#stopping.signal.aborted) {
      this.#leases.beginScan();
      let job = await this.#retryUntilReachable('claim a job', () => this.#endAndClaim(undefined));
      idle = job === undefined ? idle + 1 : 0;
      while (job !== undefined) {
        this.#job = job;
        if (this.#stopping.signal.aborted) void job.giveBack();
        const ended = job;
        await ended.run();
        if (ended.fault) this.#stopping.abort();
        job = await this.#retryUntilReachable(
          'write the outcome',
          () => this.#endAndClaim(ended),
          true,
        );
        if (ended.fault) throw ended.fault;
      }
      await this.#retryUntilReachable('give up jobs', () => this.#giveUpSpent());
      if (maxAttempts > 0 && idle >= maxAttempts) {
        this.#log.info('no job is ready; ending');
        return;
      }
      await sleep(sleepSeconds * 1000, this.#stopping.signal);
    }
  }

  /** Writes the outcome of one job and claims another, in one push. */
  #endAndClaim(ended: JobRun | undefined): Promise<JobRun | undefined> {
    if (ended === undefined) return this.#change(undefined, undefined);
    return writeEnding(ended.ending, (ending) => this.#change(ended, ending));
  }

  async #change(
    ended: JobRun | undefined,
    ending: Ending | undefined,
  ): Promise<JobRun | undefined> {
    const claim: Claim = {
      worker: this.#settings.runner,
      nonce: randomBytes(16).toString('hex'),
      leaseUntil: 0,
    };
    let chosen: (OpenJob & { commit: string }) | undefined;
    const { written, isFailed, result } = await this.#queue.change((state) => {
      this.#tell(state);
      const end = ending && ended?.end(state, ending);
      const then = after(state, end?.change);
      const isFailed = ended !== undefined && then.records.get(ended.key)?.status === 'failed';
      // Choose again for each state that the claim is tried on: other runners may have claimed the
      // first choice. Keep the choice if the last push succeeded and only its reply was lost.
      if (chosen && then.records.get(chosen.key)?.nonce !== claim.nonce) chosen = undefined;
      if (!this.#stopping.signal.aborted) chosen ??= this.#choose(then, ended?.key);
      claim.leaseUntil = Date.now() + this.#settings.leaseMs;
      const taken: Transition<'won' | 'lost'> =
        chosen === undefined
          ? { result: 'lost' }
          : claimJob(then, chosen.key, chosen.replaces?.nonce ?? undefined, claim, Date.now());
      const change = together(end?.change, taken.change);
      return {
        result: { written: end?.result, isFailed, result: taken.result },
        ...(change && { change }),
      };
    });
    if (written) ended?.tell(written);
    if (written === 'written' && isFailed && ended?.wasStopped === false) this.#failedCount++;
    this.#job = undefined;
    if (result === 'lost' || chosen === undefined) return undefined;
    const { key, row, commit } = chosen;
    return new JobRun(this.#queue, { key, row, commit, claim }, this.#settings, this.#log);
  }

  /** Picks a job at random, so that runners seldom choose the same. */
  #choose(
    state: QueueState,
    butNot: string | undefined,
  ): (OpenJob & { commit: string }) | undefined {
    const open = this.#open(state).filter(({ key }) => key !== butNot);
    const job = open[Math.floor(Math.random() * open.length)];
    return job && state.commit !== undefined ? { ...job, commit: state.commit } : undefined;
  }

  #open(state: QueueState): OpenJob[] {
    return [...readyJobs(state), ...this.#expired(state, (spent) => !spent)];
  }

  #expired(state: QueueState, isMeant: (isSpent: boolean) => boolean) {
    return runningJobs(state).filter(({ key, replaces }) => {
      const { nonce, attempts } = replaces;
      if (nonce === null || !isMeant(attempts >= this.#settings.maxJobAttempts)) return false;
      return this.#leases.mayTakeOver(key, { nonce, leaseUntil: leaseOf(replaces) });
    });
  }

  /** Fails the jobs whose runners disappeared in every attempt. */
  async #giveUpSpent(): Promise<void> {
    const { maxJobAttempts: maxAttempts } = this.#settings;
    for (const { key, row, replaces } of this.#expired(
      await this.#queue.look(),
      (isSpent) => isSpent,
    )) {
      const { nonce } = replaces;
      if (nonce === null) continue;
      await this.#queue.change((now) =>
        giveUpJob(now, key, nonce, { maxAttempts, now: Date.now() }),
      );
      this.#log.warn(
        `${row.script} (line ${row.line}): given up: its runner disappeared at every attempt`,
      );
    }
  }

  /** Logs the problems of single rows, each once. */
  #tell({ problems }: QueueState): void {
    for (const { where, message } of problems.slice(0, 100)) {
      const text = `${where}: ${message}`;
      if (!this.#told.has(text)) this.#log.warn(text);
      this.#told.add(text);
    }
  }

  /**
   * Repeats the work while the repository cannot be reached.
   * @param always whether to repeat for a while even after {@link stop}
   */
  async #retryUntilReachable<T>(
    what: string,
    work: () => Promise<T>,
    always = false,
  ): Promise<T | undefined> {
    for (let tries = 0; ; tries++) {
      if (this.#stopping.signal.aborted && (!always || tries > 5)) return undefined;
      try {
        return await work();
      } catch (error) {
        const isPassing =
          error instanceof GitError || (error instanceof AppError && error.code === 'conflict');
        if (!isPassing || tries >= 20) throw error;
        this.#log.warn(`cannot ${what} now: ${error.message}`);
        await sleep(
          Math.random() * Math.min(longestPauseMs, 500 * 2 ** tries),
          this.#stopping.signal,
        );
      }
    }
  }
}
