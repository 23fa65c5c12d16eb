import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import type { Database } from '../db/database.js';
import type { SlurmClient } from '../cluster/slurm/client.js';
import { SlurmError } from '../cluster/slurm/command.js';
import type { SlurmJob, SlurmRecord } from '../cluster/slurm/job-record.js';
import { isTerminal } from '../cluster/slurm/states.js';
import { forEachInSlices } from '../slices.js';
import { judge } from './failure.js';
import type { Submitter } from './submission.js';
import type { Job, JobId } from './job.js';
import type { JobEndings } from './job-endings.js';
import type { LiveJobs } from './live-jobs.js';
import type { PollIntervals } from './polling.js';
import { askAccounting, recordFinder, type FindRecord, type WorkDirOf } from './slurm-records.js';
import * as store from './store.js';

/** How long Slurm may know nothing of a job it took before the job is given up for lost. */
const lostAfterMs = 60_000;

export interface TrackerParts {
  db: Database;
  endings: JobEndings;
  liveJobs: LiveJobs;
  slurm: SlurmClient;
  submitter: Submitter;
  intervals: PollIntervals;
  /** Where the job starts, to know it by in an accounting that keeps no comments; left out where it does. */
  workDirOf?: WorkDirOf;
  /** Calls `tell` whenever a job ends. @returns what stops that. */
  watchEndings: (tell: () => void) => () => void;
  /** The end of a job's log, for the reason it failed. */
  logTail: (job: Job) => Promise<string>;
  /** Why its SSH host failed, if it did. */
  hostFailure: (job: Job) => Promise<string | undefined>;
  onEnded: (id: JobId) => void;
  /** Updates whatever follows from the rows. */
  afterPoll: () => Promise<void>;
  now: () => number;
  log: Logger;
}

/**
 * Keeps our record of every live job in step with Slurm's: one `squeue` for all of them, again and again while there are any
 * and at once when one ends. What squeue has forgotten, accounting is asked for.
 */
export class Tracker {
  readonly #parts: TrackerParts;
  readonly #wake = new EventEmitter<{ poke: [] }>();
  readonly #closing = new AbortController();
  #polling: Promise<void> | undefined;
  #loop: Promise<void> | undefined;
  #stopWatching: (() => void) | undefined;
  #soon: NodeJS.Timeout | undefined;
  #burstUntil = 0;
  #historyAt = 0;
  #reachable = true;
  /** When Slurm was first found to know nothing of a job. */
  readonly #missingSince = new Map<JobId, number>();

  constructor(parts: TrackerParts) {
    this.#parts = parts;
  }

  start(): void {
    const { now, intervals, watchEndings } = this.#parts;
    this.#stopWatching = watchEndings(() => {
      this.#burstUntil = now() + intervals.burstMs;
      // Not at once: Slurm hears of it only after the epilog, and has the next job to start then.
      this.#soon ??= setTimeout(() => {
        this.#soon = undefined;
        this.poke();
      }, intervals.afterEndMs);
    });
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    this.#stopWatching?.();
    clearTimeout(this.#soon);
    this.#closing.abort();
    this.poke();
    await this.#loop;
  }

  /** Looks as soon as it can. */
  poke(): void {
    this.#wake.emit('poke');
  }

  /** Asks Slurm now. A call during another waits for the look after that one, which alone is sure to be newer. */
  async poll(): Promise<void> {
    const running = this.#polling;
    if (running) {
      await running;
      if (this.#polling) return this.#polling;
    }
    this.#polling = this.#poll().finally(() => {
      this.#polling = undefined;
    });
    return this.#polling;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      let wakeUp = () => {};
      const awake = new Promise<void>((resolve) => (wakeUp = resolve));
      // Before the look: who pokes during it wants another.
      this.#wake.once('poke', wakeUp);
      try {
        await this.poll();
      } catch (error) {
        this.#parts.log.error({ err: error }, 'looking after the jobs failed');
      }
      const ms = signal.aborted ? 0 : this.#pauseMs();
      const timer = ms === undefined ? undefined : setTimeout(wakeUp, ms);
      await awake;
      clearTimeout(timer);
      // Else one stays behind for every second that a job runs.
      this.#wake.off('poke', wakeUp);
    }
  }

  /** Undefined when there is nothing to look for until somebody says so. */
  #pauseMs(): number | undefined {
    const { liveJobs, now, intervals } = this.#parts;
    const live = liveJobs.all();
    if (live.length === 0) return undefined;
    const closely = this.#burstUntil > now();
    return closely || live.some((job) => job.state === 'COMPLETING')
      ? intervals.burstPollMs
      : intervals.pollMs;
  }

  async #poll(): Promise<void> {
    const { liveJobs, slurm, submitter, log } = this.#parts;
    if (liveJobs.all().length === 0) return;
    let queue: SlurmRecord[];
    try {
      queue = await slurm.queue();
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      if (this.#reachable)
        log.warn({ err: error }, 'slurmctld does not answer; looking again and again');
      this.#reachable = false;
      return;
    }
    this.#reachable = true;

    const find = recordFinder(queue);
    const missing: Job[] = [];
    // Read after querying Slurm; otherwise a job submitted in between would look lost.
    await forEachInSlices(liveJobs.all(), ({ job_id: id }) => {
      // It may have changed since the list was read.
      const job = liveJobs.get(id);
      if (job === undefined) return undefined;
      const found = find(job);
      // Slurm has the job, in whatever state.
      if (found === 'unread') this.#missingSince.delete(id);
      else if (found) return this.#apply(job, found);
      else if (submitter.maySubmit(job)) missing.push(job);
      return undefined;
    });
    if (missing.length > 0) await this.#searchHistory(missing);
    await this.#parts.afterPoll();
  }

  async #searchHistory(missing: Job[]): Promise<void> {
    const { slurm, now, log, submitter, intervals, workDirOf } = this.#parts;
    if (now() - this.#historyAt < intervals.historyMs) return;
    this.#historyAt = now();
    let find: FindRecord;
    try {
      find = await askAccounting(slurm, missing, workDirOf);
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      log.warn(
        { err: error },
        'slurmdbd does not answer; asking again for jobs that squeue has forgotten',
      );
      return;
    }
    for (const job of missing) {
      const found = find(job);
      if (found === 'unread') continue;
      if (found && isTerminal(found.state)) await this.#apply(job, found);
      else if (job.state === 'SUBMITTING' && !found) await submitter.submit(job.job_id);
      else this.#giveUpIfLost(job);
    }
  }

  #giveUpIfLost(job: Job): void {
    const { now, db } = this.#parts;
    const since = this.#missingSince.get(job.job_id) ?? now();
    this.#missingSince.set(job.job_id, since);
    if (now() - since < lostAfterMs) return;
    store.updateJob(db, job.job_id, {
      state: 'NODE_FAIL',
      terminal: true,
      failure: 'node',
      message:
        'neither Slurm’s queue nor its accounting knows how this job ended: its state was lost, or no history is kept; rerun it',
      ended_at: now(),
    });
    this.#tellEnded(job.job_id);
  }

  async #apply(job: Job, found: SlurmJob): Promise<void> {
    const { db, logTail, hostFailure } = this.#parts;
    this.#missingSince.delete(job.job_id);
    const ended = isTerminal(found.state);
    const update: store.JobUpdate = {
      slurm_job_id: found.slurmJobId,
      state: found.state,
      reason: ended ? null : found.reason,
      // Why Slurm could not take it at first.
      message: null,
      node_list: found.nodeList,
      started_at: found.startedAt,
    };
    if (ended) {
      const tail = found.state === 'COMPLETED' ? '' : await logTail(job);
      const why = await hostFailure({ ...job, node_list: found.nodeList });
      const verdict = judge(found, tail, job.request, why);
      Object.assign(update, {
        terminal: true,
        // A job that a signal ended returned nothing; and slurmrestd 22.05 does not say in its history what a failed one did.
        exit_code:
          found.signal !== 0 || (found.state === 'FAILED' && found.exitCode === 0)
            ? null
            : found.exitCode,
        // Slurm writes 125 for what the kernel killed for its memory, with signal 9.
        signal: found.state === 'OUT_OF_MEMORY' ? 9 : found.signal,
        ended_at: found.endedAt,
        failure: verdict?.failure ?? null,
        message: verdict?.message ?? null,
      } satisfies store.JobUpdate);
    }
    const changed = Object.entries(update).some(
      ([name, value]) => job[name as keyof Job] !== value,
    );
    if (!changed) return;
    store.updateJob(db, job.job_id, update);
    if (ended) this.#tellEnded(job.job_id);
  }

  #tellEnded(id: JobId): void {
    // Each look costs slurmctld, which has the next job to start.
    const { now, intervals } = this.#parts;
    this.#burstUntil = Math.min(this.#burstUntil, now() + intervals.burstAfterEndMs);
    this.#parts.onEnded(id);
    this.#parts.endings.tell(id);
  }
}
