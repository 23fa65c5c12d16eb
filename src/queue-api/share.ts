import type { GpuFleet } from '../cluster/gpus/choose.js';
import type { NodeLimits } from '../jobs/placement/limits.js';
import { memoryMbOf } from '../cluster/ssh-hosts/capacity.js';
import type { ResolvedHost } from '../cluster/ssh-hosts/resolved-hosts.js';
import { MAIN_PARTITION, SSH_PARTITION } from '../cluster/slurm/partitions.js';

/** What a job of the queue server's API asks for: those files say nothing of it. */
export interface Share {
  /** Undefined for the default. */
  partition: string | undefined;
  gpus: number;
  cpus: number;
  /** GiB; undefined for what a job gets that does not say. */
  mem_gb: number | undefined;
}

interface Machine {
  gpus: number;
  cpus: number;
  memoryMb: number;
}

/** So much of a GPU's share of CPUs and memory goes with it: small jobs without a GPU still run beside it. */
const withGpu = 0.9;

/**
 * So many GPUs, fewer where no machine has them, and the part of CPUs and memory that goes with them on the machine where that is
 * least: the SSH hosts' when there are any, else this machine's.
 * @param gpus as JR_QUEUE_GPUS says
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
