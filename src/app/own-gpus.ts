import type { GpuFleet } from '../cluster/gpus/choose.js';
import { GpuService } from '../cluster/gpus/service.js';
import { simulatedSmi } from '../cluster/gpus/simulated.js';
import type { OperatorClient } from '../cluster/slurm/client.js';
import type { JobId } from '../jobs/job.js';
import { mayUseLocalGpus } from '../jobs/placement/target.js';
import * as jobStore from '../jobs/store.js';
import type { Base } from './base.js';

/** Makes the service of this machine's GPUs; the caller starts it. */
export function openOwnGpus(
  { config, layout, log, db, liveJobs, now }: Base,
  slurm: OperatorClient,
  fleet: GpuFleet,
): GpuService {
  return new GpuService({
    db,
    slurm,
    fleet,
    smiCommand: config.node.simulatedGpus > 0 ? simulatedSmi(layout.simulatedGpus) : 'nvidia-smi',
    thresholds: { memory: config.gpus.memThreshold, load: config.gpus.loadThreshold },
    monitorSeconds: config.gpus.monitorSeconds,
    idleWarnMinutes: config.gpus.idleWarnMinutes,
    stateFile: config.gpus.stateFile,
    stateSeconds: config.gpus.stateSeconds,
    liveJobs: () => liveJobs.all().filter(mayUseLocalGpus),
    setWarning: (id, warning) => jobStore.updateJob(db, id as JobId, { warning }),
    now,
    log,
  });
}
