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

/** Slurm's clients try for 9 s before they say that nobody is there; a caller need not wait for that each time. */
const pauseMs = 3000;
/**
 * After a submission whose outcome nobody saw, Slurm may still take the job in. Only when it has not shown up after this
 * long is it handed over again.
 */
const unclearForMs = 20_000;

export interface SubmitterParts {
  db: Database;
  endings: JobEndings;
  liveJobs: LiveJobs;
  slurm: Pick<SlurmClient, 'cancel' | 'queue'>;
  jobSubmitter: JobSubmitter;
  folders: JobFolders;
  /** Slurm's account for that job; undefined for its default. @throws SlurmError */
  accountFor: (job: Pick<Job, 'user' | 'unix_user'>) => Promise<string | undefined>;
  /** What a priority of ours takes off a job's in Slurm. */
  niceOf: (priority: number) => number;
  targets: Pick<Targets, 'constraintOf' | 'mayBeRemote' | 'partitionOf'>;
  /** How often a job that Slurm cannot take now is handed over, and the seconds before the second time. */
  retries: { attempts: number; waitSeconds: number };
  now: () => number;
  log: Logger;
}

/** Takes jobs that are written down to Slurm, each exactly once. */
export class Submitter {
  readonly #parts: SubmitterParts;
  readonly #inFlight = new Map<JobId, Promise<void>>();
  /** Until then nobody asks slurmctld, which was not there. */
  #pausedUntil = 0;
  /** When a job's last attempt ended without an answer; those from before this process began with it. */
  readonly #unclearSince = new Map<JobId, number>();

  constructor(parts: SubmitterParts) {
    this.#parts = parts;
    // A previous process may have started a submission moments ago: treat its outcome as unknown.
    for (const job of parts.liveJobs.all())
      if (job.state === 'SUBMITTING') this.#unclearSince.set(job.job_id, parts.now());
  }

  /** True when the job is not being handed over and no earlier attempt may still succeed. */
  maySubmit({ job_id: id, next_attempt_at: next }: Job): boolean {
    if (next !== null && this.#parts.now() < next) return false;
    const since = this.#unclearSince.get(id);
    return (
      !this.#inFlight.has(id) && (since === undefined || this.#parts.now() - since > unclearForMs)
    );
  }

  /** Leaves the job PENDING, REJECTED, or still SUBMITTING when Slurm could not be asked. */
  submit(id: JobId): Promise<void> {
    const running = this.#inFlight.get(id);
    if (running) return running;
    if (this.#parts.now() < this.#pausedUntil) return Promise.resolve();
    return this.#track(id, this.#submitNow(id));
  }

  /** Resolves or rejects with the attempt that is being made for the job now; undefined when there is none. */
  inFlight(id: JobId): Promise<void> | undefined {
    return this.#inFlight.get(id);
  }

  /**
   * Ends a job that Slurm has not got, while no attempt is under way.
   * @throws SlurmError, also while Slurm may have got it after all; then it is as it was.
   */
  withdraw(id: JobId): Promise<void> {
    // No attempt may begin while its former self is cancelled.
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

  /** @throws SlurmError unless Slurm neither has the job nor may still take it in. */
  async #ensureNotSubmitted(job: Job): Promise<void> {
    const since = this.#unclearSince.get(job.job_id);
    if (since === undefined) return;
    const mayCome = this.#parts.now() - since <= unclearForMs;
    if (mayCome || recordFinder(await this.#parts.slurm.queue())(job) !== undefined)
      throw new SlurmError('unanswered', 'it is not known yet whether Slurm has the job');
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#inFlight.values());
  }

  async #submitNow(id: JobId): Promise<void> {
    const { db, jobSubmitter, log, now } = this.#parts;
    const job = store.findJob(db, id);
    const script = store.scriptOf(db, id);
    if (job?.state !== 'SUBMITTING' || script === undefined) return;
    try {
      // Never both: the one that was to run elsewhere goes first. It is held, so that it cannot start meanwhile.
      if (job.moved_from !== null) await this.#cancelFormer(job.moved_from);
      const account = await this.#parts.accountFor(job);
      const slurmJobId = await jobSubmitter.submit(this.#specOf(job, account), script);
      this.#unclearSince.delete(id);
      store.updateJob(db, id, {
        slurm_job_id: slurmJobId,
        state: 'PENDING',
        message: null,
        attempts: 0,
        next_attempt_at: null,
      });
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      if (error.kind === 'busy' && this.#postpone(job, error)) return;
      if (error.kind === 'unreachable' || error.kind === 'unanswered') {
        this.#pausedUntil = now() + pauseMs;
        if (error.kind === 'unanswered') this.#unclearSince.set(id, now());
        else this.#unclearSince.delete(id);
        log.warn({ err: error, job_id: id }, 'Slurm does not answer; the job is handed over later');
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

  async #cancelFormer(slurmJobId: number): Promise<void> {
    try {
      await this.#parts.slurm.cancel(slurmJobId);
    } catch (error) {
      // Refused: Slurm no longer knows it.
      if (!(error instanceof SlurmError) || error.kind !== 'refused') throw error;
    }
  }

  /** Each wait is twice the one before. @returns false when the job has had all its attempts. */
  #postpone({ job_id, attempts, moved_from }: Job, error: SlurmError): boolean {
    const { db, now, retries, log } = this.#parts;
    // One that Slurm had taken already, and that was to move, is not given up.
    if (attempts + 1 >= retries.attempts && moved_from === null) return false;
    const waitMs = Math.min(retries.waitSeconds * 2 ** attempts, 3600) * 1000;
    store.updateJob(db, job_id, {
      attempts: attempts + 1,
      next_attempt_at: now() + waitMs,
      message: error.message,
    });
    log.warn({ err: error, job_id, waitMs }, 'Slurm cannot take the job; it is handed over later');
    return true;
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
