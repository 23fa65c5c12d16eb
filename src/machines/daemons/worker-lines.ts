import type { Config } from '../../config/config.js';
import { PLACEHOLDER_WORKERS_PARTITION } from '../../cluster/slurm/placeholder-jobs.js';
import { WORKERS_PARTITION } from '../../cluster/slurm/partitions.js';

/**
 * More than workers and SSH hosts together; Slurm needs the number before it adds dynamic nodes.
 */
const maxNodes = 1024;
/** A job begins only when the worker has its dataset; Slurm would call it lost after 10 s. */
const longestPreparationSeconds = 12 * 60 * 60;

/**
 * Returns the lines of slurm.conf for workers, which are dynamic nodes
 * (slurm.schedmd.com/dynamic_nodes.html); none when no worker may join. Only a worker's own
 * gres.conf lists its GPUs (tried with 22.05).
 */
export function workerLines(join: Config['join'], maxTime: string): string[] {
  if (join === undefined) return [];
  return [
    `MaxNodeCount=${maxNodes}`,
    `SlurmdTimeout=${join.timeoutSeconds}`,
    `BatchStartTimeout=${longestPreparationSeconds}`,
    'Nodeset=workers Feature=worker',
    // worker-gpus.ts opens it once a starting slurmctld knows the workers' GPUs; a reconfiguration
    // must not close it.
    'ReconfigFlags=KeepPartState',
    `PartitionName=${WORKERS_PARTITION} Nodes=workers MaxTime=${maxTime} AllowGroups=runner State=DOWN`,
    `PartitionName=${PLACEHOLDER_WORKERS_PARTITION} Nodes=workers Hidden=YES PriorityTier=100 AllowGroups=jobrunner State=UP`,
  ];
}
