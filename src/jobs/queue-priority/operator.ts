import type { Database } from '../../db/database.js';
import type { OperatorClient } from '../../cluster/slurm/client.js';
import { SlurmError } from '../../cluster/slurm/command.js';
import { niceOf } from '../../cluster/slurm/priority.js';
import type { Job } from '../job.js';
import * as store from '../store.js';

/**
 * Keeps and changes a waiting job's queue position. Every method updates the job's row to match
 * Slurm.
 * @throws SlurmError
 */
export interface Ranking {
  hold(job: Job, slurmJobId: number): Promise<void>;
  release(job: Job, slurmJobId: number): Promise<void>;
  /** @param priority ours; lower runs first */
  setPriority(job: Job, slurmJobId: number, priority: number): Promise<void>;
  /** Returns the row's update for a priority that Slurm gets later. */
  later(job: Job, priority: number): store.JobUpdate;
}

/** Ranking in a cluster of our own: as its Operator we set each job's exact priority. */
export class OperatorRanking implements Ranking {
  readonly #db: Database;
  readonly #slurm: Pick<OperatorClient, 'hold' | 'release' | 'priorityOf' | 'setPriority'>;

  constructor(
    db: Database,
    slurm: Pick<OperatorClient, 'hold' | 'release' | 'priorityOf' | 'setPriority'>,
  ) {
    this.#db = db;
    this.#slurm = slurm;
  }

  async hold({ job_id: id }: Job, slurmJobId: number): Promise<void> {
    const former = await this.#slurm.priorityOf(slurmJobId);
    await this.#slurm.hold(slurmJobId);
    if (former !== 0) store.updateJob(this.#db, id, { slurm_priority: former });
  }

  async release(job: Job, slurmJobId: number): Promise<void> {
    const db = this.#db;
    const slurm = this.#slurm;
    // Slurm gives a released job a priority as if it had no nice value, even if it was not held
    // (22.05, tried).
    if ((await slurm.priorityOf(slurmJobId)) !== 0) return;
    await slurm.release(slurmJobId);
    const last = (await slurm.priorityOf(slurmJobId)) - niceOf(job.priority);
    try {
      await slurm.setPriority(slurmJobId, job.slurm_priority ?? last);
    } catch (error) {
      // The job has started at once.
      if (!(error instanceof SlurmError) || error.kind !== 'refused') throw error;
    }
    store.updateJob(db, job.job_id, { slurm_priority: null });
  }

  async setPriority(job: Job, slurmJobId: number, priority: number): Promise<void> {
    const db = this.#db;
    const slurm = this.#slurm;
    const current = await slurm.priorityOf(slurmJobId);
    // A held job gets its priority at its release: any number would release it now.
    if (current === 0) {
      store.updateJob(db, job.job_id, this.later(job, priority));
      return;
    }
    await slurm.setPriority(slurmJobId, current + niceOf(job.priority) - niceOf(priority));
    store.updateJob(db, job.job_id, { priority });
  }

  later({ priority: former, slurm_priority: kept }: Job, priority: number): store.JobUpdate {
    const rise = niceOf(former) - niceOf(priority);
    return { priority, slurm_priority: kept === null ? null : kept + rise };
  }
}
