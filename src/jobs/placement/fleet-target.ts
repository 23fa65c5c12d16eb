import { chooseGpus, type GpuFleet } from '../../cluster/gpus/choose.js';
import { checkUserGpuQuota } from '../../cluster/gpus/request.js';
import type { Job, JobRequest } from '../job.js';
import type { NodeLimits } from './limits.js';
import type { Target } from './target.js';

/** This machine's limits and GPUs, and which of the GPUs take no new job now. */
export interface LocalResources {
  limits: NodeLimits;
  fleet: GpuFleet;
  isClosed: (gpuIndex: number) => boolean;
}

/** A target of our own cluster, where we choose the GPUs among those of a fleet. */
export interface FleetTarget extends Target {
  /** Returns the GPUs among which those of the job are chosen. */
  gpusFor(request: JobRequest): GpuFleet;
}

export interface FleetParts {
  gpusFor: (request: JobRequest) => GpuFleet;
  /** The GPUs of `gpusFor` when left out. */
  scriptGpus?: (request: JobRequest) => GpuFleet;
  /** Whether that job has or waits for the same GPUs. */
  competes: (job: Job) => boolean;
  isClosed: (gpuIndex: number) => boolean;
}

/** Makes the members of a target that choose its GPUs. */
export function choosingOf({
  gpusFor,
  scriptGpus = gpusFor,
  competes,
  isClosed,
}: FleetParts): Pick<FleetTarget, 'gpusFor' | 'scriptGpus' | 'chooseGpus' | 'problemWithQuota'> {
  return {
    gpusFor,
    scriptGpus,
    chooseGpus: (request, liveJobs) => {
      if (request.gpus === 0 && request.gpu_mem_gb === undefined) return null;
      const claims = liveJobs.filter((job) => job.gpu_shards !== null && competes(job));
      return chooseGpus(request, gpusFor(request), claims, isClosed);
    },
    problemWithQuota: (request, maxGpus) =>
      checkUserGpuQuota(maxGpus, gpusFor(request).gpus, request),
  };
}
