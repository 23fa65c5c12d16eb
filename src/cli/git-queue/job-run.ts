import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../../errors.js';
import {
  endJob,
  renewJob,
  type Transition,
  type Ending,
} from '../../ingest/git-queue/transitions.js';
import type { Claim } from '../../ingest/source.js';
import { logLines } from '../../ingest/git-queue/log-lines.js';
import type { Queue } from '../../ingest/git-queue/queue.js';
import type { QueueRow } from '../../ingest/git-queue/queue-file.js';
import type { QueueState } from '../../ingest/git-queue/queue-state.js';
import { storeResults, type ResultLimits } from '../../ingest/git-queue/results.js';
import { readArgs, readKwargs, toWords } from '../../ingest/git-queue/row-arguments.js';
import { Checkout, filesBelow } from './checkout.js';
import { JobProcess, type JobEnd } from './job-process.js';
import type { RunnerLog } from './runner-log.js';

export interface JobSettings {
  leaseMs: number;
  maxJobAttempts: number;
  python: string;
  /**
   * A folder in the repository, whose files are committed, or one outside, whose files stay there.
   */
  results: { inside: string } | { outside: string };
  limits: ResultLimits;
  /** Folder for results that are too large to be committed. */
  largeResults: string;
  /** Base of scripts outside the repository; undefined where those are not allowed. */
  outside: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
}

export interface ClaimedJob {
  key: string;
  row: QueueRow;
  /** Commit that the job's checkout has. */
  commit: string;
  claim: Claim;
}

const nothing = { exitCode: null, log: [], results: [], files: [] };

/** Runs a claimed job and renews its claim meanwhile. */
export class JobRun {
  readonly #queue: Queue;
  readonly #job: ClaimedJob;
  readonly #settings: JobSettings;
  readonly #log: RunnerLog;

  #process: JobProcess | undefined;
  #ending: Ending | undefined;
  #fault: Error | undefined;
  /** The reason for which the job was ended early. */
  #why: 'given back' | 'lost' | 'cancelled' | undefined;

  constructor(queue: Queue, job: ClaimedJob, settings: JobSettings, log: RunnerLog) {
    this.#queue = queue;
    this.#job = job;
    this.#settings = settings;
    this.#log = log;
  }

  /** Ends the job if it runs; the queue then shows it as never begun. */
  giveBack(): Promise<void> {
    return this.#stop('given back');
  }

  /** Runs the job to its end; {@link end} then writes its outcome to the queue. */
  async run(): Promise<void> {
    const { row } = this.#job;
    this.#log.info(`${row.script} (line ${row.line}): claimed`);
    const over = new AbortController();
    const renewing = this.#keepRenewing(over.signal);
    try {
      this.#ending = await this.#runInCheckout();
    } finally {
      over.abort();
      await renewing;
    }
  }

  get key(): string {
    return this.#job.key;
  }

  /** Whether the job was ended early: given back, cancelled, or lost to another runner. */
  get wasStopped(): boolean {
    return this.#why !== undefined;
  }

  /** Outcome of the job. @throws Error while it runs */
  get ending(): Ending {
    if (this.#ending === undefined) throw new Error('the job has not ended');
    return this.#ending;
  }

  /** A failure of this machine, such as a full disk, which other jobs would meet as well. */
  get fault(): Error | undefined {
    return this.#fault;
  }

  /** Writes the job's outcome into the queue's state. */
  end(state: QueueState, ending: Ending): Transition<'written' | 'lost'> {
    const { maxJobAttempts: maxAttempts } = this.#settings;
    return endJob(state, this.#job.key, this.#job.claim, ending, {
      maxAttempts,
      now: Date.now(),
    });
  }

  /** Logs the job's outcome. */
  tell(written: 'written' | 'lost'): void {
    const { row } = this.#job;
    const { kind = 'again', message = null } = this.#ending ?? {};
    const text = `${row.script} (line ${row.line}): ${kind}${message === null ? '' : `, ${message}`}`;
    if (written === 'written') this.#log.info(text);
    else this.#log.warn(`${text}; but another runner has claimed the job`);
  }

  async #runInCheckout(): Promise<Ending> {
    const { commit, row } = this.#job;
    const { repository } = this.#queue.parts;
    let checkout: Checkout | undefined;
    let end: JobEnd | undefined;
    try {
      checkout = await Checkout.make(repository, commit);
      const { results } = this.#settings;
      const folder =
        'inside' in results ? await checkout.resultsFolder(results.inside) : results.outside;
      const script = await checkout.script(row.script, this.#settings.outside);
      const words = toWords(readArgs(row.args), readKwargs(row.kwargs));
      end = await this.#runProcess(
        [this.#settings.python, script.path, ...words],
        script.cwd,
        folder,
      );
      return await this.#endingOf(end, folder);
    } catch (error) {
      const { message } = error as Error;
      if (error instanceof AppError) return { ...nothing, kind: 'refused', message };
      this.#fault = error as Error;
      if (end === undefined) return { ...nothing, kind: 'again', message };
      // Files of the job may be the reason, and must not end one runner after another for ever.
      const log = logLines(end.log);
      return { ...nothing, kind: 'failed', exitCode: end.exitCode, message, log };
    } finally {
      await checkout?.remove().catch((error: unknown) => (this.#fault ??= error as Error));
    }
  }

  async #runProcess(command: string[], cwd: string, resultsDir: string): Promise<JobEnd> {
    const env = {
      ...Object.fromEntries(
        Object.entries(this.#settings.env).filter(([name]) => !/^(JR_|GIT_)/.test(name)),
      ),
      RESULTS_DIR: resultsDir,
    };
    if (this.#why !== undefined) return { exitCode: null, signal: null, error: null, log: '' };
    this.#log.debug(`running ${JSON.stringify(command)} in ${cwd}`);
    this.#process = new JobProcess(command, { cwd, env }, this.#log.output);
    return this.#process.ended;
  }

  async #endingOf(end: JobEnd, folder: string): Promise<Ending> {
    const log = logLines(end.log);
    if (this.#why === 'given back')
      return { ...nothing, kind: 'again', message: 'given back', log };
    if (this.#why !== undefined) return { ...nothing, kind: 'refused', message: this.#why, log };
    const { results, files } = await this.#collect(folder);
    const rest = { exitCode: end.exitCode, log, results, files };
    if (end.exitCode === 0) return { kind: 'succeeded', message: null, ...rest };
    const message =
      end.error ?? (end.signal === null ? `exit code ${end.exitCode}` : `ended by ${end.signal}`);
    return { kind: 'failed', message, ...rest };
  }

  async #collect(folder: string) {
    const { results, limits, largeResults } = this.#settings;
    if (!('inside' in results)) return { results: [], files: [] };
    const { repository } = this.#queue.parts;
    const { commit, key } = this.#job;
    const stored = await storeResults(
      repository,
      commit,
      results.inside,
      filesBelow(folder),
      limits,
    );
    if (stored.left > 0) this.#log.warn(`${stored.left} result files are left out`);
    for (const { path, committed } of stored.results) {
      if (committed) continue;
      const below = path.slice(results.inside.length + 1);
      const kept = join(largeResults, key, below);
      await mkdir(dirname(kept), { recursive: true });
      await copyFile(join(folder, below), kept);
      this.#log.warn(`${path}: too large to commit; kept as ${kept}`);
    }
    return stored;
  }

  async #keepRenewing(over: AbortSignal): Promise<void> {
    const { key, claim } = this.#job;
    const { leaseMs } = this.#settings;
    while (!over.aborted) {
      await new Promise<void>((fulfil) => {
        const timer = setTimeout(fulfil, leaseMs / 3);
        over.addEventListener('abort', () => (clearTimeout(timer), fulfil()), { once: true });
      });
      if (over.aborted) return;
      const leaseUntil = Date.now() + leaseMs;
      try {
        const renewed = await this.#queue.change(
          (state) => renewJob(state, key, { ...claim, leaseUntil }, Date.now()),
          over,
        );
        if (renewed === 'kept') claim.leaseUntil = leaseUntil;
        else return void (await this.#stop(renewed));
      } catch (error) {
        if (over.aborted) return;
        this.#log.warn(`the claim cannot be renewed: ${(error as Error).message}`);
        // The lease has expired: another runner may claim the job now, and it must not run twice.
        if (Date.now() >= claim.leaseUntil) return void (await this.#stop('lost'));
      }
    }
  }

  async #stop(why: 'given back' | 'lost' | 'cancelled'): Promise<void> {
    if (this.#why === undefined) {
      this.#why = why;
      if (why !== 'given back') this.#log.warn(`${this.#job.row.script}: ${why}; ending it`);
    }
    await this.#process?.stop();
  }
}
