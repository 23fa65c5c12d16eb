import { lstat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Database } from '../../db/database.js';
import { AppError, errnoOf } from '../../errors.js';
import { Loops } from '../../every.js';
import { RepeatedError } from '../../repeated-error.js';
import { forEachInSlices } from '../../slices.js';
import type { Verdict } from '../failure.js';
import type { Job, JobId } from '../job.js';
import type { JobFolders } from '../job-folders.js';
import type { LiveJobs } from '../live-jobs.js';
import type { MeasureJobs } from './measure.js';
import * as store from './store.js';

const maxPollMs = 5000;
/** A measure may take a twentieth of the time. */
const rest = 20;
/** Interval for users without a limit, whose figures are only shown. */
const unlimitedMs = 10 * 60_000;
/** Age of figures that a submission does not wait for, and the time that it waits. */
const freshMs = 2000;
const waitMs = 5000;
/** Jobs that one process measures, and one transaction stores. */
const jobsAtOnce = 500;

export interface DiskUseParts {
  db: Database;
  liveJobs: LiveJobs;
  folders: Pick<JobFolders, 'of'>;
  measure: MeasureJobs;
  limits: {
    /** Returns the bytes that the user may store; 0 for no limit. */
    maxStoredBytes: (user: string) => number;
    /** Returns the bytes of the user's datasets and jobs, as last measured. */
    storedBytes: (user: string) => number;
  };
  /** Largest log of a job, in bytes; 0 for no limit. */
  maxLogBytes: number;
  /** Least time between two measures of a user's jobs. */
  everySeconds: number;
  now: () => number;
  log: Logger;
}

/** The last measure of a user's jobs. */
interface Measured {
  /** When it began, and how long it took. */
  at: number;
  tookMs: number;
}

/**
 * Measures what users' jobs keep on the disk, in another process, and ends a job that takes its
 * user over their limit, or whose log grows too large. It measures all jobs of a user, ended ones
 * too, since a running job can write into their folders.
 */
export class DiskUseWatch {
  readonly #parts: DiskUseParts;

  readonly #loops = new Loops();
  readonly #closing = new AbortController();
  /** Measures under way. */
  readonly #running = new Map<string, Promise<void>>();
  readonly #measured = new Map<string, Measured>();
  /** Users of whom a job has ended, or came with a script, since their last measure. */
  readonly #changed: Set<string>;
  #cancel: ((id: JobId) => Promise<unknown>) | undefined;

  constructor(parts: DiskUseParts) {
    this.#parts = parts;
    this.#changed = new Set(store.unmeasuredUsers(parts.db));
  }

  /** @param cancel ends a job; throws AppError as JobControl.cancel does */
  start(cancel: (id: JobId) => Promise<unknown>): void {
    this.#cancel = cancel;
    const { everySeconds, log, now } = this.#parts;
    const trouble = new RepeatedError(log, 'watching the jobs’ disk use failed', now);
    const look = async () => {
      await this.#endLargeLogs();
      for (const user of this.#dueUsers()) {
        if (this.#closing.signal.aborted) return;
        await this.#look(user);
      }
    };
    this.#loops.start(Math.min(maxPollMs, everySeconds * 1000), look, trouble);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loops.close();
    await Promise.allSettled(this.#running.values());
  }

  /** Has the user's jobs measured soon. */
  changed(user: string): void {
    this.#changed.add(user);
  }

  /** Measures a limited user's jobs, unless the figures are fresh; waits some seconds at most. */
  async refresh(user: string): Promise<void> {
    const { limits, now, log } = this.#parts;
    if (limits.maxStoredBytes(user) === 0) return;
    const last = this.#measured.get(user);
    const hasChanged = this.#changed.has(user);
    const isStale = hasChanged || this.#runningJobs(user).length > 0;
    const least = hasChanged ? 0 : freshMs;
    if (last && (!isStale || now() - last.at < Math.max(least, last.tookMs * rest))) return;
    const measuring = this.#look(user).catch((error: unknown) => {
      log.error({ err: error }, 'a submission is checked against old figures');
    });
    await Promise.race([measuring, delay(waitMs, undefined, { ref: false })]);
  }

  /** Lists the users to be measured, the one who waited longest first. */
  #dueUsers(): string[] {
    const { liveJobs, limits, now, everySeconds } = this.#parts;
    const running = liveJobs.all().filter((job) => job.state === 'RUNNING');
    const users = new Set([...this.#changed, ...running.map((job) => job.user)]);
    const lastOf = (user: string) => this.#measured.get(user) ?? { at: -Infinity, tookMs: 0 };
    return [...users]
      .filter((user) => {
        const { at, tookMs } = lastOf(user);
        const isUrgent = this.#changed.has(user) || limits.maxStoredBytes(user) > 0;
        const least = isUrgent ? everySeconds * 1000 : unlimitedMs;
        return now() - at >= Math.max(least, tookMs * rest);
      })
      .sort((a, b) => lastOf(a).at - lastOf(b).at);
  }

  #runningJobs(user: string): Job[] {
    return this.#parts.liveJobs.all().filter((job) => job.user === user && job.state === 'RUNNING');
  }

  /** Measures the user's jobs, or waits for the measure under way. */
  #look(user: string): Promise<void> {
    const running = this.#running.get(user);
    if (running) return running;
    const looking = this.#measureAndEnd(user).finally(() => this.#running.delete(user));
    this.#running.set(user, looking);
    return looking;
  }

  /** Ends the job that wrote the most since the last measure, if the user is over their limit. */
  async #measureAndEnd(user: string): Promise<void> {
    const { limits } = this.#parts;
    const growth = await this.#measure(user);
    const limit = limits.maxStoredBytes(user);
    const stored = limits.storedBytes(user);
    if (limit === 0 || stored <= limit) return;
    const grown = this.#runningJobs(user)
      .map(({ job_id: id }) => ({ id, bytes: growth.get(id) ?? 0 }))
      .sort((a, b) => b.bytes - a.bytes)[0];
    if (grown === undefined || grown.bytes <= 0) return;
    await this.#end(grown.id, {
      failure: 'storage',
      message: `took your storage to ${stored} of ${limit} bytes and was ended; delete jobs or datasets, then rerun it`,
    });
  }

  /** @returns the bytes by which jobs have grown or shrunk */
  async #measure(user: string): Promise<Map<JobId, number>> {
    const { db, now } = this.#parts;
    const at = now();
    const growth = new Map<JobId, number>();
    this.#changed.delete(user);
    try {
      let page = store.measuredJobs(db, user, 0, jobsAtOnce);
      while (page.length > 0) {
        await this.#measurePage(page, growth);
        page = store.measuredJobs(db, user, page.at(-1)?.id ?? Infinity, jobsAtOnce);
      }
    } catch (error) {
      this.#changed.add(user);
      throw error;
    } finally {
      this.#measured.set(user, { at, tookMs: now() - at });
    }
    return growth;
  }

  async #measurePage(
    jobs: readonly { id: JobId; bytes: number | null }[],
    growth: Map<JobId, number>,
  ): Promise<void> {
    const { db, measure } = this.#parts;
    const found = await measure(
      jobs.map(({ id }) => id),
      this.#closing.signal,
    );
    const changed = jobs.flatMap(({ id, bytes: before }) => {
      // A folder that the time limit left out keeps its figure.
      const use = found.get(id) ?? (before === null ? { bytes: 0, logBytes: 0 } : undefined);
      if (use === undefined || use.bytes === before) return [];
      growth.set(id, use.bytes - (before ?? 0));
      return [[id, use] as const];
    });
    store.putDiskUses(db, changed);
  }

  async #endLargeLogs(): Promise<void> {
    const { liveJobs, folders, maxLogBytes } = this.#parts;
    if (maxLogBytes === 0) return;
    const running = liveJobs.all().filter((job) => job.state === 'RUNNING');
    await forEachInSlices(running, async ({ job_id: id }) => {
      const { stdoutPath, stderrPath } = folders.of(id);
      const bytes = (await sizeOf(stdoutPath)) + (await sizeOf(stderrPath));
      if (bytes <= maxLogBytes) return;
      await this.#end(id, {
        failure: 'storage',
        message: `wrote ${bytes} bytes to its log, its limit is ${maxLogBytes} bytes (JR_MAX_LOG_GB), and was ended; write less, or write to a file`,
      });
    });
  }

  async #end(id: JobId, verdict: Verdict): Promise<void> {
    const { db, log } = this.#parts;
    store.putStop(db, id, verdict);
    try {
      await this.#cancel?.(id);
    } catch (error) {
      store.deleteStop(db, id);
      // It ended by itself just now.
      if (error instanceof AppError && error.code === 'conflict') return;
      throw error;
    }
    log.warn({ job_id: id, why: verdict.message }, 'a job was ended for what it stores');
  }
}

/** Returns the bytes of a file that a job may have replaced by a link, which is not followed. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await lstat(path)).size;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0;
    throw error;
  }
}
