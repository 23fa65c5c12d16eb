import { AppError } from '../../errors.js';
import type { GpuFleet } from '../../cluster/gpus/choose.js';
import { MAIN_PARTITION, SSH_PARTITION } from '../../cluster/slurm/partitions.js';
import type { JobRequest } from '../job.js';
import type { Target } from './target.js';

/** The first place free, of this machine and the SSH hosts: for jobs that both of them could run, see `Places.settle`. */
export interface FirstFreeTarget extends Target {
  /** The partitions that have what is asked for; empty when none has. */
  partitionsFor(request: JobRequest): string[];
}

/**
 * What a job asks of GPUs is to mean the same wherever it starts: a share that is enough on the smallest GPUs among which Slurm may take
 * one, and indices that there are on both sides.
 * @param fleet this machine's GPUs
 */
export function firstFreeTarget(here: Target, there: Target, fleet: GpuFleet): FirstFreeTarget {
  const least = Math.min(...fleet.gpus.map((gpu) => gpu.memoryMb));
  const partitionsFor = (request: JobRequest): string[] => {
    const fitsHere = fits(here, request);
    // Where Slurm chooses the GPU, it might take one of this machine's that is too small.
    const isSafeHere = (request.gpu_mem_gb ?? 0) * 1024 <= least;
    if (fits(there, request))
      return fitsHere && isSafeHere ? [MAIN_PARTITION, SSH_PARTITION] : [SSH_PARTITION];
    return fitsHere ? [MAIN_PARTITION] : [];
  };
  return {
    folderOwner: 'either',
    mayBeRemote: true,
    isRival: () => true,
    isHere: true,
    limits: {
      cpus: Math.max(here.limits.cpus, there.limits.cpus),
      memoryMb: Math.max(here.limits.memoryMb, there.limits.memoryMb),
      maxTime: here.limits.maxTime,
    },
    partitionsFor,
    refuse: (request) => {
      if (partitionsFor(request).length > 0) return;
      // In the words of the side that has more of what there is too little of: the other's would name a limit that is none.
      if (there.limits.cpus >= request.cpus && there.limits.memoryMb >= request.mem_gb * 1024)
        there.refuse(request);
      here.refuse(request);
    },
    fleetFor: (request) => {
      const remote = there.fleetFor(request);
      const gpus = fleet.gpus.slice(0, remote.gpus.length).map((gpu) => ({
        ...gpu,
        memoryMb: Math.min(least, ...remote.gpus.map(({ memoryMb }) => memoryMb)),
      }));
      return { ...fleet, gpus };
    },
    scriptFleet: fleet,
  };
}

function fits(place: Target, request: JobRequest): boolean {
  try {
    place.refuse(request);
    return true;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return false;
  }
}
