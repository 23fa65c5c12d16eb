import type { Logger } from 'pino';
import type { Database } from '../db/database.js';
import { readGres } from '../gpus/ask.js';
import type { SlurmClient } from '../slurm/client.js';
import { SlurmError } from '../slurm/command.js';
import * as store from './store.js';

/** Writes down on which GPUs jobs run: Slurm is asked once for all that have just started. */
export async function recordPlacements(
  db: Database,
  slurm: Pick<SlurmClient, 'placements'>,
  log: Logger,
): Promise<void> {
  const jobs = store.liveJobs(db).filter((job) => job.gres !== null);
  // One that was requeued may come to other GPUs next time.
  for (const job of jobs)
    if (job.state === 'PENDING' && job.gpu_indices !== null)
      store.updateJob(db, job.job_id, { gpu_indices: null, warning: null });
  const unplaced = jobs.filter((job) => job.state === 'RUNNING' && job.gpu_indices === null);
  if (unplaced.length === 0) return;
  try {
    const placements = await slurm.placements();
    for (const { job_id, slurm_job_id, gres } of unplaced) {
      const placed = placements.get(slurm_job_id ?? 0)?.indices ?? readGres(gres ?? '').on;
      // A job whose name imitates Slurm's words is left out of them; the GPUs it asked for by number are its own.
      if (placed.length > 0) store.updateJob(db, job_id, { gpu_indices: placed });
    }
  } catch (error) {
    if (!(error instanceof SlurmError)) throw error;
    log.warn(
      { err: error },
      'Slurm did not say where jobs run; it is asked again at the next look',
    );
  }
}
