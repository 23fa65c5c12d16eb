import type { Database } from '../../db/database.js';
import type { Job } from '../job.js';
import type { Ranking } from './operator.js';
import * as store from '../store.js';
import type { ExternalClient } from '../../cluster/slurm/external/client.js';

/**
 * What a priority of ours takes off a job's on an external cluster: it tells our jobs apart and hardly moves them among everybody's, whose
 * priorities are thousands where the external cluster has multifactor ones.
 */
export function externalNiceOf(priority: number): number {
  return priority;
}

/** On an external cluster, whose Operator we are not: a job can be made nicer than others, and its place is Slurm's affair. */
export class NiceRanking implements Ranking {
  constructor(
    private readonly db: Database,
    private readonly slurm: Pick<ExternalClient, 'hold' | 'release' | 'setNice'>,
  ) {}

  async hold(_job: Job, slurmJobId: number): Promise<void> {
    await this.slurm.hold(slurmJobId);
  }

  /** With what its priority has come to meanwhile. */
  async release(job: Job, slurmJobId: number): Promise<void> {
    await this.slurm.release(slurmJobId);
    await this.slurm.setNice(slurmJobId, externalNiceOf(job.priority));
  }

  async setPriority(job: Job, slurmJobId: number, priority: number): Promise<void> {
    // One that is held gets its nice value when it is released: Slurm 22.05 would give it a priority, and so let it start (tried).
    if (!/^JobHeld/.test(job.reason ?? ''))
      await this.slurm.setNice(slurmJobId, externalNiceOf(priority));
    store.updateJob(this.db, job.job_id, { priority });
  }

  later(_job: Job, priority: number): store.JobUpdate {
    return { priority };
  }
}
