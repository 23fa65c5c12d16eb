import { GpuReassigner } from '../jobs/placement/gpu-reassigner.js';
import { recordPlacements } from '../jobs/placement/record-placements.js';
import type { JobId } from '../jobs/job.js';
import type { Submitter } from '../jobs/submission.js';
import type { KeyLock } from '../key-lock.js';
import type { Base } from './base.js';
import type { OwnCluster } from './cluster.js';

export interface Placements {
  /** Records the GPUs of jobs, and moves waiting jobs to free GPUs. */
  update: () => Promise<void>;
}

export function openPlacements(
  { log, db, liveJobs }: Base,
  { slurm, gpus, here: { fleet } }: OwnCluster,
  submitter: Submitter,
  turns: KeyLock<JobId>,
): Placements {
  const { isClosed } = gpus;
  const parts = { db, liveJobs, slurm, fleet, submitter, turns, isClosed, log };
  const reassigner = new GpuReassigner(parts);
  return {
    update: async () => {
      await recordPlacements(db, liveJobs, slurm, log);
      await reassigner.reassign();
    },
  };
}
