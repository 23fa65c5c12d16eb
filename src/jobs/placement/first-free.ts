import { MAIN_PARTITION, SSH_PARTITION } from '../../cluster/slurm/partitions.js';
import type { JobRequest } from '../job.js';
import { choosingOf, type FleetTarget, type LocalResources } from './fleet-target.js';
import type { Target } from './target.js';

/** This machine or an SSH host, whichever is free first; see {@link Targets.resolvePartition}. */
export interface FirstFreeTarget extends Target {
  /** Returns the partitions that can run the job; none when it can run nowhere. */
  partitionsFor(request: JobRequest): string[];
}

/**
 * Makes GPUs mean the same wherever the job starts. A share is enough on the smallest GPU that
 * Slurm may take, and both sides have the indices.
 */
export function firstFreeTarget(
  here: FleetTarget,
  there: FleetTarget,
  { fleet, isClosed }: LocalResources,
): FirstFreeTarget {
  const smallest = Math.min(...fleet.gpus.map((gpu) => gpu.memoryMb));
  const partitionsFor = (request: JobRequest): string[] => {
    const fitsHere = here.problemWith(request) === undefined;
    // Where Slurm chooses the GPU, it might take one of this machine's that is too small.
    const isSafeHere = (request.gpu_mem_gb ?? 0) * 1024 <= smallest;
    if (there.problemWith(request) === undefined)
      return fitsHere && isSafeHere ? [MAIN_PARTITION, SSH_PARTITION] : [SSH_PARTITION];
    return fitsHere ? [MAIN_PARTITION] : [];
  };
  return {
    folderOwner: 'either',
    mayBeRemote: true,
    limits: {
      cpus: Math.max(here.limits.cpus, there.limits.cpus),
      memoryMb: Math.max(here.limits.memoryMb, there.limits.memoryMb),
      maxTime: here.limits.maxTime,
    },
    partitionsFor,
    problemWith: (request) => {
      if (partitionsFor(request).length > 0) return undefined;
      // Report the problem of the side with the higher limit: the job could exceed the other's.
      const hasMoreThere =
        there.limits.cpus >= request.cpus && there.limits.memoryMb >= request.mem_gb * 1024;
      return (hasMoreThere ? there.problemWith(request) : undefined) ?? here.problemWith(request);
    },
    ...choosingOf({
      gpusFor: (request) => {
        const remote = there.gpusFor(request);
        const gpus = fleet.gpus.slice(0, remote.gpus.length).map((gpu) => ({
          ...gpu,
          memoryMb: Math.min(smallest, ...remote.gpus.map(({ memoryMb }) => memoryMb)),
        }));
        return { ...fleet, gpus };
      },
      scriptGpus: () => fleet,
      competes: () => true,
      isClosed,
    }),
  };
}
