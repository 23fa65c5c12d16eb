import type { Logger } from 'pino';
import type { Database } from '../../db/database.js';
import type { OperatorClient } from '../../cluster/slurm/client.js';
import { SlurmError } from '../../cluster/slurm/command.js';
import type { Job } from '../job.js';
import type { LiveJobs } from '../live-jobs.js';
import * as store from '../store.js';

/**
 * Records the GPUs that jobs run on: asks Slurm once, for all that have just started on any GPU.
 */
export async function recordPlacements(
  db: Database,
  liveJobs: LiveJobs,
  slurm: Pick<OperatorClient, 'placements'>,
  log: Logger,
): Promise<void> {
  const jobs = liveJobs.all().filter((job) => job.gpu_shards !== null);
  // A requeued job may get other GPUs next time.
  for (const job of jobs)
    if (job.state === 'PENDING' && job.gpu_indices !== null)
      store.updateJob(db, job.job_id, { gpu_indices: null, warning: null });
  const started = jobs.filter((job) => job.state === 'RUNNING' && job.gpu_indices === null);
  const namedBy = ({ gpu_shards: asked }: Job) => asked?.on ?? [];
  for (const job of started) {
    const on = namedBy(job);
    if (on.length > 0) store.updateJob(db, job.job_id, { gpu_indices: [...on] });
  }
  const unplaced = started.filter((job) => namedBy(job).length === 0);
  if (unplaced.length === 0) return;
  try {
    const placements = await slurm.placements();
    for (const { job_id, slurm_job_id } of unplaced) {
      const indices = placements.get(slurm_job_id ?? 0)?.indices;
      if (indices) store.updateJob(db, job_id, { gpu_indices: indices });
    }
  } catch (error) {
    if (!(error instanceof SlurmError)) throw error;
    log.warn({ err: error }, 'Slurm did not report the GPUs of jobs; the next poll asks again');
  }
}
