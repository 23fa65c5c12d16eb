import type { GpuFleet } from '../cluster/gpus/choose.js';
import { Monitor } from '../cluster/gpus/monitor.js';
import { NvidiaSmi } from '../cluster/gpus/nvidia-smi.js';
import { ownerOf } from '../cluster/gpus/owners.js';
import { GpuPauses } from '../cluster/gpus/pauses.js';
import { gpuJobsRunning, GpuService } from '../cluster/gpus/service.js';
import { simulatedSmi } from '../cluster/gpus/simulated.js';
import type { OperatorClient } from '../cluster/slurm/client.js';
import type { WorkerList } from '../cluster/workers/worker-list.js';
import type { JobId } from '../jobs/job.js';
import { mayUseLocalGpus } from '../jobs/placement/target.js';
import * as jobStore from '../jobs/store.js';
import type { Base } from './base.js';

/**
 * Makes the service of this machine's GPUs, and that of the pauses of all GPUs; the caller starts
 * the first, which starts the second.
 */
export function openOwnGpus(
  { config, layout, log, db, liveJobs, now }: Base,
  slurm: OperatorClient,
  fleet: GpuFleet,
  workers: WorkerList | undefined,
): { gpus: GpuService; gpuPauses: GpuPauses } {
  const { gpus } = fleet;
  const { monitorSeconds, stateFile, stateSeconds, idleWarnMinutes } = config.gpus;
  const localJobs = () => liveJobs.all().filter(mayUseLocalGpus);
  const smi = config.node.simulatedGpus > 0 ? simulatedSmi(layout.simulatedGpus) : 'nvidia-smi';
  const monitor = new Monitor({
    db,
    gpus,
    smi: new NvidiaSmi(smi, gpus),
    thresholds: { memory: config.gpus.memThreshold, load: config.gpus.loadThreshold },
    gpusWithJobs: () =>
      new Set(gpuJobsRunning(localJobs()).flatMap((job) => job.gpu_indices ?? [])),
    ownerOf,
    now,
    log,
  });
  const gpuPauses = new GpuPauses({
    db,
    slurm,
    fleet,
    isInForeignUse: (index) => monitor.closure(index) !== undefined,
    workers: workers && (() => workers.open()),
    stateFile,
    stateSeconds,
    checkSeconds: monitorSeconds,
    now,
    log,
  });
  const service = new GpuService({
    db,
    fleet,
    monitor,
    pauses: gpuPauses,
    monitorSeconds,
    idleWarnMinutes,
    liveJobs: localJobs,
    setWarning: (id, warning) => jobStore.updateJob(db, id as JobId, { warning }),
    now,
    log,
  });
  return { gpus: service, gpuPauses };
}
