import type { GpuFleet } from '../cluster/gpus/choose.js';
import type { NodeLimits } from '../jobs/placement/limits.js';
import { memoryMbOf } from '../cluster/ssh-hosts/capacity.js';
import type { ResolvedHost } from '../cluster/ssh-hosts/resolved-hosts.js';
import { MAIN_PARTITION, SSH_PARTITION } from '../cluster/slurm/partitions.js';

/** Resources that a job of the queue server’s API requests, since its files state none. */
export interface Share {
  /** Undefined for the default partition. */
  partition: string | undefined;
  gpus: number;
  cpus: number;
  /** GiB; undefined for the default memory. */
  mem_gb: number | undefined;
}

interface Machine {
  gpus: number;
  cpus: number;
  memoryMb: number;
}

/**
 * Part of a GPU’s share of CPUs and memory that a job takes, so that small jobs without a GPU still
 * fit beside it.
 */
const withGpu = 0.9;

/**
 * Computes the resources of a job: the GPUs, or fewer where no machine has that many, and their
 * part of CPUs and memory. The machine with the smallest part decides: of the SSH hosts if there
 * are any, otherwise this one.
 * @param gpus value of JR_QUEUE_GPUS
 */
export function shareOf(
  gpus: number,
  here: { limits: NodeLimits; fleet: GpuFleet },
  hosts: readonly ResolvedHost[],
): Share {
  const { limits, fleet } = here;
  const isRemote = hosts.length > 0;
  const machines: Machine[] = isRemote
    ? hosts.map((host) => ({
        gpus: host.gpus.count,
        cpus: host.cpus,
        memoryMb: memoryMbOf(host),
      }))
    : [{ gpus: fleet.gpus.length, cpus: limits.cpus, memoryMb: limits.memoryMb }];
  const partition = isRemote ? SSH_PARTITION : MAIN_PARTITION;
  const asked = Math.min(gpus, Math.max(...machines.map((machine) => machine.gpus)));
  if (asked === 0) return { partition, gpus: 0, cpus: 1, mem_gb: undefined };
  const able = machines.filter((machine) => machine.gpus >= asked);
  const least = (of: (machine: Machine) => number) =>
    Math.min(...able.map((machine) => (of(machine) * withGpu * asked) / machine.gpus));
  return {
    partition,
    gpus: asked,
    cpus: Math.max(1, Math.floor(least((machine) => machine.cpus))),
    mem_gb: Math.max(1, Math.floor(least((machine) => machine.memoryMb))) / 1024,
  };
}
