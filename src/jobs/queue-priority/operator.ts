import type { Database } from '../../db/database.js';
import type { OperatorClient } from '../../cluster/slurm/client.js';
import { SlurmError } from '../../cluster/slurm/command.js';
import { niceOf } from '../../cluster/slurm/priority.js';
import type { Job } from '../job.js';
import * as store from '../store.js';

/**
 * How a waiting job's place among the others is kept and changed. Every method brings the job's row up to date with what Slurm has.
 * @throws SlurmError
 */
export interface Ranking {
  hold(job: Job, slurmJobId: number): Promise<void>;
  release(job: Job, slurmJobId: number): Promise<void>;
  /** @param priority ours; lower runs first */
  setPriority(job: Job, slurmJobId: number, priority: number): Promise<void>;
  /** What the row of a job becomes that Slurm is told of another time. */
  later(job: Job, priority: number): store.JobUpdate;
}

/** In a cluster of our own: as its Operator we give each job its very priority. */
export class OperatorRanking implements Ranking {
  constructor(
    private readonly db: Database,
    private readonly slurm: Pick<OperatorClient, 'hold' | 'release' | 'priorityOf' | 'setPriority'>,
  ) {}

  async hold({ job_id: id }: Job, slurmJobId: number): Promise<void> {
    const place = await this.slurm.priorityOf(slurmJobId);
    await this.slurm.hold(slurmJobId);
    if (place !== 0) store.updateJob(this.db, id, { slurm_priority: place });
  }

  async release(job: Job, slurmJobId: number): Promise<void> {
    const { db, slurm } = this;
    // Slurm gives a released job a place as if it had no nice value (22.05, tried), also one that was not held.
    if ((await slurm.priorityOf(slurmJobId)) !== 0) return;
    await slurm.release(slurmJobId);
    const last = (await slurm.priorityOf(slurmJobId)) - niceOf(job.priority);
    try {
      await slurm.setPriority(slurmJobId, job.slurm_priority ?? last);
    } catch (error) {
      // It has started at once.
      if (!(error instanceof SlurmError) || error.kind !== 'refused') throw error;
    }
    store.updateJob(db, job.job_id, { slurm_priority: null });
  }

  async setPriority(job: Job, slurmJobId: number, priority: number): Promise<void> {
    const { db, slurm } = this;
    const place = await slurm.priorityOf(slurmJobId);
    // A held one gets its place when it is released: any number would release it.
    if (place === 0) {
      store.updateJob(db, job.job_id, this.later(job, priority));
      return;
    }
    await slurm.setPriority(slurmJobId, place + niceOf(job.priority) - niceOf(priority));
    store.updateJob(db, job.job_id, { priority });
  }

  later({ priority: former, slurm_priority: place }: Job, priority: number): store.JobUpdate {
    const rise = niceOf(former) - niceOf(priority);
    return { priority, slurm_priority: place === null ? null : place + rise };
  }
}
