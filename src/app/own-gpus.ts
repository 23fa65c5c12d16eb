import { GpuService } from '../cluster/gpus/service.js';
import { simulatedSmi } from '../cluster/gpus/simulated.js';
import type { Submitter } from '../jobs/submission.js';
import type { JobId } from '../jobs/job.js';
import { GpuReassigner } from '../jobs/placement/gpu-reassigner.js';
import { mayUseLocalGpus } from '../jobs/placement/target.js';
import { recordPlacements } from '../jobs/placement/record-placements.js';
import * as jobStore from '../jobs/store.js';
import type { KeyLock } from '../key-lock.js';
import type { Base } from './base.js';
import type { OwnCluster } from './cluster.js';

export interface OwnGpus {
  gpus: GpuService;
  /** Once the jobs' rows are in step with Slurm. */
  afterPoll: () => Promise<void>;
}

/** This machine's GPUs: which of them are kept from jobs, and which jobs change to another. */
export function openOwnGpus(
  { config, layout, log, db, now }: Base,
  { slurm, here: { fleet } }: OwnCluster,
  submitter: Submitter,
  turns: KeyLock<JobId>,
): OwnGpus {
  const gpus = new GpuService({
    db,
    slurm,
    fleet,
    smiCommand: config.node.simulatedGpus > 0 ? simulatedSmi(layout.simulatedGpus) : 'nvidia-smi',
    thresholds: { memory: config.gpus.memThreshold, load: config.gpus.loadThreshold },
    monitorSeconds: config.gpus.monitorSeconds,
    idleWarnMinutes: config.gpus.idleWarnMinutes,
    stateFile: config.gpus.stateFile,
    stateSeconds: config.gpus.stateSeconds,
    liveJobs: () => jobStore.liveJobs(db).filter(mayUseLocalGpus),
    setWarning: (id, warning) => jobStore.updateJob(db, id as JobId, { warning }),
    now,
    log,
  });
  const { isClosed } = gpus;
  const reassigner = new GpuReassigner({ db, slurm, fleet, submitter, turns, isClosed, log });
  return {
    gpus,
    afterPoll: async () => {
      await recordPlacements(db, slurm, log);
      await reassigner.reassign();
    },
  };
}
