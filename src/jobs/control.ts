import type { Database } from '../db/database.js';
import { AppError } from '../errors.js';
import type { KeyLock } from '../key-lock.js';
import type { SlurmClient } from '../cluster/slurm/client.js';
import { SlurmError } from '../cluster/slurm/command.js';
import type { Submitter } from './submission.js';
import type { Job, JobId } from './job.js';
import type { Targets } from './placement/target.js';
import type { Ranking } from './queue-priority/operator.js';
import { ownNumber } from './slurm-records.js';
import * as store from './store.js';
import type { Tracker } from './tracker.js';

export interface JobControlParts {
  db: Database;
  slurm: SlurmClient;
  ranking: Ranking;
  submitter: Submitter;
  targets: Pick<Targets, 'isForFirstFree'>;
  tracker: Tracker;
  /** Serializes all changes of a job in Slurm; see gpu-reassigner.ts. */
  turns: KeyLock<JobId>;
  /** @throws AppError not_found. */
  get: (id: JobId) => Job;
}

/**
 * Changes submitted jobs. Every method returns the job as Slurm has it afterwards.
 * @throws AppError not_found; conflict when the job has ended, or Slurm refuses; slurm_unavailable.
 */
export class JobControl {
  readonly #parts: JobControlParts;

  constructor(parts: JobControlParts) {
    this.#parts = parts;
  }

  /** Ends a job; its files stay. */
  async cancel(id: JobId): Promise<Job> {
    const { submitter, slurm, tracker } = this.#parts;
    return this.#change(id, async (job) => {
      if (job.slurm_job_id === null) await submitter.withdraw(id);
      else {
        const slurmJobId = await this.#inSlurm(job);
        await tracker.expectCancelled(id, () => slurm.cancel(slurmJobId));
      }
    });
  }

  async hold(id: JobId): Promise<Job> {
    const { ranking } = this.#parts;
    return this.#change(id, async (job) => ranking.hold(job, await this.#inSlurm(job)));
  }

  /** Restores the queue position; a job that others held comes last of its priority level. */
  async release(id: JobId): Promise<Job> {
    const { ranking } = this.#parts;
    return this.#change(id, async (job) => ranking.release(job, await this.#inSlurm(job)));
  }

  /** Stops a running job and puts it back into the queue under its number. */
  async requeue(id: JobId): Promise<Job> {
    return this.#change(id, async (job) => {
      // Another target's Unix user could not continue with the files that this one's user wrote.
      if (this.#parts.targets.isForFirstFree(job.request))
        throw new AppError(
          'conflict',
          `job ${id} is for the first free target and may start elsewhere next time: cancel it and rerun it`,
          { details: { fields: ['partition'] } },
        );
      await this.#parts.slurm.requeue(await this.#inSlurm(job), job.request.requeue === true);
    });
  }

  /**
   * Moves the job to another priority level, ordered by age there.
   * @throws AppError conflict once the job no longer waits
   */
  async setPriority(id: JobId, priority: number): Promise<Job> {
    const { db, ranking } = this.#parts;
    return this.#change(id, async (job) => {
      if (job.state !== 'PENDING' && job.state !== 'SUBMITTING')
        throw new AppError(
          'conflict',
          `job ${id} is ${job.state}: only a waiting job can change its priority`,
          { details: { state: job.state } },
        );
      if (job.slurm_job_id === null) store.updateJob(db, id, ranking.later(job, priority));
      else await ranking.setPriority(job, await this.#inSlurm(job), priority);
    });
  }

  /** @throws AppError conflict; SlurmError as {@link ownNumber} does */
  async #inSlurm(job: Job): Promise<number> {
    if (job.slurm_job_id === null)
      throw new AppError(
        'conflict',
        `job ${job.job_id} has not reached Slurm yet: try again in a moment`,
        { details: { state: job.state } },
      );
    return ownNumber(this.#parts.slurm, job, job.slurm_job_id);
  }

  /** Runs `act` on the current row while nothing else changes the job. */
  async #change(id: JobId, act: (job: Job) => Promise<void>): Promise<Job> {
    const { turns, submitter, tracker, get } = this.#parts;
    await turns.hold(id, async () => {
      // Another attempt may begin during the wait, so check again. Read the row right after the
      // check.
      while (submitter.inFlight(id)) await submitter.inFlight(id);
      const job = get(id);
      if (job.terminal)
        throw new AppError('conflict', `job ${id} has ended already: ${job.state}`, {
          details: { state: job.state },
        });
      await inOurWords(() => act(job));
    });
    // Release the lock first: a poll under way may need it to move this job.
    await tracker.poll();
    return get(id);
  }
}

async function inOurWords(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (cause) {
    if (!(cause instanceof SlurmError)) throw cause;
    if (cause.kind !== 'refused')
      throw new AppError('slurm_unavailable', 'Slurm does not answer now: try again in a moment', {
        cause,
      });
    throw new AppError('conflict', `Slurm refused: ${cause.message}`, { cause });
  }
}
