import type { Logger } from 'pino';
import type { Database } from '../db/database.js';
import type { SlurmClient } from '../cluster/slurm/client.js';
import { SlurmError } from '../cluster/slurm/command.js';
import type { JobSubmitter, SubmitSpec } from '../cluster/slurm/submit/job-submitter.js';
import { parseTimeLimit } from '../config/time-limit.js';
import { OWNER_UNIX_USER } from '../config/unix-users.js';
import type { Job, JobId } from './job.js';
import type { JobEndings } from './job-endings.js';
import type { JobFolders } from './job-folders.js';
import type { LiveJobs } from './live-jobs.js';
import { memoryMbOf } from './placement/limits.js';
import type { Targets } from './placement/target.js';
import { recordFinder } from './slurm-records.js';
import * as store from './store.js';

/**
 * Pause after slurmctld did not answer. Slurm's clients try for 9 s before they give up; not every
 * caller need wait for that.
 */
const pauseMs = 3000;
/**
 * Time after which a submission of unknown outcome is repeated, unless the job has shown up: until
 * then, Slurm may still take it in.
 */
const unclearForMs = 20_000;

export interface SubmitterParts {
  db: Database;
  endings: JobEndings;
  liveJobs: LiveJobs;
  slurm: Pick<SlurmClient, 'cancel' | 'commentOf' | 'queue'>;
  jobSubmitter: JobSubmitter;
  folders: JobFolders;
  /** Hears of a job that may have run, and that Slurm has lost. */
  onEnded: (id: JobId) => void;
  /** Returns Slurm's account for that job; undefined for its default. @throws SlurmError */
  accountFor: (job: Pick<Job, 'user' | 'unix_user'>) => Promise<string | undefined>;
  /** Returns the nice value of a priority of ours. */
  niceOf: (priority: number) => number;
  targets: Pick<Targets, 'constraintOf' | 'mayBeRemote' | 'partitionOf'>;
  /** Attempts for a job that Slurm cannot take now, and the seconds before the second one. */
  retries: { attempts: number; waitSeconds: number };
  now: () => number;
  log: Logger;
}

/** Submits stored jobs to Slurm, each exactly once. */
export class Submitter {
  readonly #parts: SubmitterParts;
  readonly #inFlight = new Map<JobId, Promise<void>>();
  /** Time before which nothing is sent to slurmctld, which did not answer. */
  #pausedUntil = 0;
  /**
   * Time when a job's last attempt ended without an answer. For attempts of an earlier process, it
   * is the start of this one.
   */
  readonly #unclearSince = new Map<JobId, number>();

  constructor(parts: SubmitterParts) {
    this.#parts = parts;
    // A previous process may have started a submission moments ago: treat its outcome as unknown.
    for (const job of parts.liveJobs.all())
      if (job.state === 'SUBMITTING') this.#unclearSince.set(job.job_id, parts.now());
  }

  /** Tells whether no attempt is under way or postponed, and no earlier one may still succeed. */
  maySubmit({ job_id: id, next_attempt_at: next }: Job): boolean {
    if (next !== null && this.#parts.now() < next) return false;
    const since = this.#unclearSince.get(id);
    return (
      !this.#inFlight.has(id) && (since === undefined || this.#parts.now() - since > unclearForMs)
    );
  }

  /** Submits a job, which is then PENDING, REJECTED, or still SUBMITTING without Slurm's answer. */
  submit(id: JobId): Promise<void> {
    const running = this.#inFlight.get(id);
    if (running) return running;
    if (this.#parts.now() < this.#pausedUntil) return Promise.resolve();
    return this.#track(id, this.#submitNow(id));
  }

  /** Returns the attempt under way for the job; undefined when there is none. */
  inFlight(id: JobId): Promise<void> | undefined {
    return this.#inFlight.get(id);
  }

  /**
   * Ends a job that Slurm does not have, while no attempt is under way.
   * @throws SlurmError also while Slurm may have the job after all; the job is then unchanged
   */
  withdraw(id: JobId): Promise<void> {
    // No attempt may begin while the job's former record is cancelled.
    return this.#track(id, this.#withdraw(id));
  }

  #track(id: JobId, work: Promise<void>): Promise<void> {
    const occupied = work.finally(() => this.#inFlight.delete(id));
    this.#inFlight.set(id, occupied);
    return occupied;
  }

  async #withdraw(id: JobId): Promise<void> {
    const { db, now } = this.#parts;
    const job = store.findJob(db, id);
    if (job?.state !== 'SUBMITTING') return;
    await this.#ensureNotSubmitted(job);
    if (job.moved_from !== null) await this.#cancelFormer(job.moved_from);
    store.updateJob(db, id, {
      state: 'CANCELLED',
      terminal: true,
      failure: 'cancelled',
      message: 'was cancelled before Slurm got it',
      ended_at: now(),
    });
    this.#parts.endings.tell(id);
  }

  /**
   * Checks that Slurm neither has the job nor may still take it in.
   * @throws SlurmError otherwise
   */
  async #ensureNotSubmitted(job: Job): Promise<void> {
    const since = this.#unclearSince.get(job.job_id);
    if (since === undefined) return;
    const mayCome = this.#parts.now() - since <= unclearForMs;
    if (mayCome || recordFinder(await this.#parts.slurm.queue())(job) !== undefined)
      throw new SlurmError(
        'unanswered',
        'Slurm may have the job: its last attempt got no answer yet',
      );
  }

  /** Waits for the attempts under way. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#inFlight.values());
  }

  async #submitNow(id: JobId): Promise<void> {
    const { db, jobSubmitter, log, now } = this.#parts;
    const job = store.findJob(db, id);
    const script = store.scriptOf(db, id);
    if (job?.state !== 'SUBMITTING' || script === undefined) return;
    try {
      // Cancel the job's former record first, so that never both run. That record is held, so that
      // it cannot start meanwhile.
      if (job.moved_from !== null) await this.#cancelFormer(job.moved_from);
      const account = await this.#parts.accountFor(job);
      const slurmJobId = await jobSubmitter.submit(this.#specOf(job, account), script);
      this.#unclearSince.delete(id);
      for (const former of store.endFormerHolders(db, id, slurmJobId, now())) {
        this.#parts.onEnded(former);
        this.#parts.endings.tell(former);
      }
      store.updateJob(db, id, {
        slurm_job_id: slurmJobId,
        state: 'PENDING',
        message: null,
        next_attempt_at: null,
      });
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      if (error.kind === 'busy' && this.#postpone(job, error)) return;
      if (error.kind === 'unreachable' || error.kind === 'unanswered') {
        this.#pausedUntil = now() + pauseMs;
        if (error.kind === 'unanswered') this.#unclearSince.set(id, now());
        else this.#unclearSince.delete(id);
        log.warn({ err: error, job_id: id }, 'Slurm does not answer; the job is submitted later');
        return;
      }
      const asked = job.attempts === 0 ? '' : ` (asked ${job.attempts + 1} times)`;
      store.updateJob(db, id, {
        state: 'REJECTED',
        terminal: true,
        failure: 'submit',
        message: `${error.message}${asked}`,
        ended_at: now(),
      });
      this.#parts.endings.tell(id);
    }
  }

  /**
   * Submits a job later once more that its node could not start. Slurm has ended its record.
   * @returns false after the last attempt
   */
  submitAgain(job: Job, node: string): boolean {
    const { db, now, retries, log } = this.#parts;
    const { job_id, attempts } = job;
    if (attempts + 1 >= retries.attempts) return false;
    const waitMs = this.#waitMs(attempts);
    const times = `${attempts + 1} of ${retries.attempts} attempts failed`;
    store.updateJob(db, job_id, {
      state: 'SUBMITTING',
      // Slurm still shows the ended record, under the old one.
      comment: store.newComment(),
      slurm_job_id: null,
      reason: null,
      node_list: null,
      started_at: null,
      gpu_indices: null,
      attempts: attempts + 1,
      next_attempt_at: now() + waitMs,
      message: `${node} could not start it`,
      warning: `${node} could not start it at first; JobRunner submitted it again (${times})`,
    });
    log.warn({ job_id, node, waitMs }, 'a node could not start a job; it is submitted later');
    return true;
  }

  async #cancelFormer(slurmJobId: number): Promise<void> {
    const { db, slurm } = this.#parts;
    try {
      // The row has the new record's comment. The number may be another job's by now.
      if (store.hasComment(db, await slurm.commentOf(slurmJobId))) return;
      await slurm.cancel(slurmJobId);
    } catch (error) {
      // Refused: Slurm no longer knows it.
      if (!(error instanceof SlurmError) || error.kind !== 'refused') throw error;
    }
  }

  /** Postpones the next attempt, twice as long each time. @returns false after the last attempt */
  #postpone({ job_id, attempts, moved_from }: Job, error: SlurmError): boolean {
    const { db, now, retries, log } = this.#parts;
    // A job in a move is never given up: Slurm had taken it already.
    if (attempts + 1 >= retries.attempts && moved_from === null) return false;
    const waitMs = this.#waitMs(attempts);
    store.updateJob(db, job_id, {
      attempts: attempts + 1,
      next_attempt_at: now() + waitMs,
      message: error.message,
    });
    log.warn({ err: error, job_id, waitMs }, 'Slurm cannot take the job; it is submitted later');
    return true;
  }

  #waitMs(attempts: number): number {
    return Math.min(this.#parts.retries.waitSeconds * 2 ** attempts, 3600) * 1000;
  }

  #specOf(job: Job, account?: string): SubmitSpec {
    const { job_id, comment, request, gres, gpu_shards, priority, unix_user: unixUser } = job;
    const { folders, targets } = this.#parts;
    const { outputDir, stdoutPath, stderrPath } = folders.of(job_id);
    return {
      jobId: job_id,
      user: unixUser ?? OWNER_UNIX_USER,
      mayBeRemote: targets.mayBeRemote({ request, node_list: null }),
      constraint: targets.constraintOf(request, gpu_shards),
      comment,
      account,
      name: request.name,
      cpus: request.cpus,
      memoryMb: memoryMbOf(request),
      gres,
      nice: this.#parts.niceOf(priority),
      timeLimit: parseTimeLimit(request.time_limit) ?? 'UNLIMITED',
      workDir: outputDir,
      logPath: stdoutPath,
      errorPath: request.split_log ? stderrPath : undefined,
      requeue: request.requeue === true,
      partition: targets.partitionOf(request),
    };
  }
}
