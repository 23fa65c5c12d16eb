import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import type { Database } from '../db/database.js';
import type { SlurmClient } from '../cluster/slurm/client.js';
import { SlurmError } from '../cluster/slurm/command.js';
import type { SlurmJob, SlurmRecord } from '../cluster/slurm/job-record.js';
import { isTerminal } from '../cluster/slurm/states.js';
import { RepeatedError } from '../repeated-error.js';
import { forEachInSlices } from '../slices.js';
import { isFailedLaunch, mayBeFailedLaunch } from './failed-launch.js';
import { judge, lastingLaunchFailure } from './failure.js';
import type { Submitter } from './submission.js';
import type { Job, JobId } from './job.js';
import type { JobEndings } from './job-endings.js';
import type { LiveJobs } from './live-jobs.js';
import type { PollIntervals } from './polling.js';
import { askAccounting, recordFinder, type FindRecord, type WorkDirOf } from './slurm-records.js';
import { stopOf } from './disk-use/store.js';
import * as store from './store.js';

/** Time after which a job counts as lost when Slurm, which took it, knows nothing of it. */
const lostAfterMs = 60_000;

export interface TrackerParts {
  db: Database;
  endings: JobEndings;
  liveJobs: LiveJobs;
  slurm: SlurmClient;
  submitter: Submitter;
  intervals: PollIntervals;
  /**
   * Returns the job's working directory, which identifies the job if accounting keeps no comments;
   * left out if it keeps them.
   */
  workDirOf?: WorkDirOf;
  /** Calls `tell` whenever a job ends. @returns a function that stops this */
  watchEndings: (tell: () => void) => () => void;
  /** Reads the end of a job's log, for the reason why it failed. */
  logTail: (job: Job) => Promise<string>;
  /** Tells whether the job has begun a log; left out where nobody tells a failed start by that. */
  hasLog?: (job: Job) => Promise<boolean>;
  /** Reads why the job's SSH host failed, if it did. */
  hostFailure: (job: Job) => Promise<string | undefined>;
  onEnded: (id: JobId) => void;
  /** Updates everything that depends on the rows. */
  afterPoll: () => Promise<void>;
  now: () => number;
  log: Logger;
}

/**
 * Keeps our record of every live job in step with Slurm's. One `squeue` asks for all of them, again
 * and again while any lives, and soon after one ends. Jobs no longer in `squeue` are looked up in
 * accounting.
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
  /** Time when Slurm was first found to know nothing of a job. */
  readonly #missingSince = new Map<JobId, number>();
  /** Jobs that are cancelled over the API. */
  readonly #cancelled = new Set<JobId>();
  /** Time since which it is unclear why a job was cancelled. */
  readonly #unclearSince = new Map<JobId, number>();
  readonly #trouble: RepeatedError;

  constructor(parts: TrackerParts) {
    this.#parts = parts;
    this.#trouble = new RepeatedError(parts.log, 'polling the jobs failed', parts.now);
  }

  start(): void {
    const { now, intervals, watchEndings } = this.#parts;
    this.#stopWatching = watchEndings(() => {
      this.#burstUntil = now() + intervals.burstMs;
      // Wait a little: Slurm hears of the end only after the epilog, and then starts the next job.
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

  /** Makes the next poll start as soon as possible. */
  poke(): void {
    this.#wake.emit('poke');
  }

  /**
   * Has Slurm cancel a job, whose end is then a cancellation. An attempt that Slurm refuses leaves
   * no trace; one without an answer may have been carried out.
   */
  async expectCancelled(id: JobId, cancel: () => Promise<void>): Promise<void> {
    this.#cancelled.add(id);
    try {
      await cancel();
    } catch (error) {
      if (error instanceof SlurmError && error.kind !== 'unanswered') this.#cancelled.delete(id);
      throw error;
    }
  }

  /**
   * Polls Slurm now. A call during a poll waits for the next one, which alone is sure to be newer.
   */
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
      // Listen before the poll: a poke during it asks for another.
      this.#wake.once('poke', wakeUp);
      try {
        await this.poll();
        this.#trouble.succeeded();
      } catch (error) {
        this.#trouble.failed(error);
      }
      const ms = signal.aborted ? 0 : this.#pauseMs();
      const timer = ms === undefined ? undefined : setTimeout(wakeUp, ms);
      await awake;
      clearTimeout(timer);
      // Otherwise one listener would stay behind after every poll.
      this.#wake.off('poke', wakeUp);
    }
  }

  /** Returns the pause before the next poll; undefined when only a poke starts it. */
  #pauseMs(): number | undefined {
    const { liveJobs, now, intervals } = this.#parts;
    const live = liveJobs.all();
    if (live.length === 0) return undefined;
    const isBurst = this.#burstUntil > now();
    return isBurst || live.some((job) => job.state === 'COMPLETING')
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
      if (this.#reachable) log.warn({ err: error }, 'slurmctld does not answer; polling continues');
      this.#reachable = false;
      return;
    }
    this.#reachable = true;

    const find = recordFinder(queue);
    const missing: Job[] = [];
    // Read after querying Slurm; otherwise a job submitted in between would look lost.
    await forEachInSlices(liveJobs.all(), ({ job_id: id }) => {
      // The job may have changed since the list was read.
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
        'slurmdbd does not answer; jobs no longer in squeue are looked up later',
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
    const launch = ended ? await this.#launchOf(job, found) : 'as told';
    if (launch === 'unclear') return;
    const node = found.nodeList ?? job.node_list ?? 'the node';
    if (launch === 'failed' && this.#parts.submitter.submitAgain(job, node)) return;
    // Slurm cuts times off to seconds, and its clock may be another machine's.
    const startedAt = notBefore(job.submitted_at, found.startedAt);
    const update: store.JobUpdate = {
      slurm_job_id: found.slurmJobId,
      state: found.state,
      reason: ended ? null : found.reason,
      // Clear the reason why Slurm could not take the job at first.
      message: null,
      node_list: found.nodeList,
      started_at: startedAt,
    };
    if (ended) {
      const tail = found.state === 'COMPLETED' ? '' : await logTail(job);
      const why = await hostFailure({ ...job, node_list: found.nodeList });
      const judged =
        launch === 'failed'
          ? lastingLaunchFailure(node, job.attempts + 1)
          : judge(found, tail, job.request, why);
      const verdict = judged && (stopOf(db, job.job_id) ?? judged);
      Object.assign(update, {
        ...(launch === 'failed' && { state: 'NODE_FAIL' }),
        terminal: true,
        exit_code: exitCodeOf(found),
        // The kernel kills for memory with signal 9, for which Slurm writes 125.
        signal: found.state === 'OUT_OF_MEMORY' ? 9 : found.signal,
        ended_at: notBefore(startedAt ?? job.submitted_at, found.endedAt),
        failure: verdict?.failure ?? null,
        message: verdict?.message ?? null,
      } satisfies store.JobUpdate);
    }
    const changed = Object.entries(update).some(
      ([name, value]) => job[name as keyof Job] !== value,
    );
    if (!changed) return;
    if (job.slurm_job_id === null)
      for (const id of store.endFormerHolders(db, job.job_id, found.slurmJobId, this.#parts.now()))
        this.#tellEnded(id);
    store.updateJob(db, job.job_id, update);
    if (ended) this.#tellEnded(job.job_id);
  }

  /** Tells a job that its node could not start from one that somebody cancelled. */
  async #launchOf(job: Job, found: SlurmJob): Promise<'failed' | 'as told' | 'unclear'> {
    const { slurm, now, hasLog } = this.#parts;
    const { job_id: id, comment } = job;
    if (!hasLog || this.#cancelled.has(id) || !mayBeFailedLaunch(found)) return 'as told';
    if (await hasLog(job)) return 'as told';
    let failed: boolean | undefined;
    try {
      failed = isFailedLaunch(await slurm.historyOf([found.slurmJobId]), comment);
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
    }
    // Accounting hears of it a moment after squeue.
    const since = this.#unclearSince.get(id) ?? now();
    if (failed === undefined && now() - since < lostAfterMs) {
      this.#unclearSince.set(id, since);
      return 'unclear';
    }
    this.#unclearSince.delete(id);
    return failed ? 'failed' : 'as told';
  }

  #tellEnded(id: JobId): void {
    const { now, intervals } = this.#parts;
    // Shorten the burst: each poll delays slurmctld, which has the next job to start.
    this.#burstUntil = Math.min(this.#burstUntil, now() + intervals.burstAfterEndMs);
    this.#cancelled.delete(id);
    this.#parts.onEnded(id);
    this.#parts.endings.tell(id);
  }
}

/**
 * Returns the exit code of the job's script. A job that a signal ended has none. For one that did
 * not complete, Slurm writes 0 where it knows none: its node failed, or it was cancelled.
 */
function exitCodeOf({ state, signal, exitCode }: SlurmJob): number | null {
  return signal !== 0 || (exitCode === 0 && state !== 'COMPLETED') ? null : exitCode;
}

/** Returns a time of Slurm's, or ours if that is later; null if Slurm has none. */
function notBefore(ours: number, slurms: number | null): number | null {
  return slurms === null ? null : Math.max(ours, slurms);
}
