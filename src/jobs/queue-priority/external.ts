import type { Database } from '../../db/database.js';
import type { Job } from '../job.js';
import type { Ranking } from './operator.js';
import * as store from '../store.js';
import type { ExternalClient } from '../../cluster/slurm/external/client.js';

/**
 * Returns the nice value of a priority of ours on an external cluster. It tells our jobs apart and
 * hardly moves them among other users' jobs: multifactor priorities are in the thousands.
 */
export function externalNiceOf(priority: number): number {
  return priority;
}

/**
 * Ranking on an external cluster, whose Operator we are not. A job can be made nicer than others;
 * its queue position is left to Slurm.
 */
export class NiceRanking implements Ranking {
  readonly #db: Database;
  readonly #slurm: Pick<ExternalClient, 'hold' | 'release' | 'setNice'>;

  constructor(db: Database, slurm: Pick<ExternalClient, 'hold' | 'release' | 'setNice'>) {
    this.#db = db;
    this.#slurm = slurm;
  }

  async hold(_job: Job, slurmJobId: number): Promise<void> {
    await this.#slurm.hold(slurmJobId);
  }

  /** Releases the job with its current priority, which may have changed since the hold. */
  async release(job: Job, slurmJobId: number): Promise<void> {
    await this.#slurm.release(slurmJobId);
    await this.#slurm.setNice(slurmJobId, externalNiceOf(job.priority));
  }

  async setPriority(job: Job, slurmJobId: number, priority: number): Promise<void> {
    // A held job gets its nice value at its release: now, Slurm 22.05 would give it a priority and
    // so let it start (tried).
    if (!/^JobHeld/.test(job.reason ?? ''))
      await this.#slurm.setNice(slurmJobId, externalNiceOf(priority));
    store.updateJob(this.#db, job.job_id, { priority });
  }

  later(_job: Job, priority: number): store.JobUpdate {
    return { priority };
  }
}
