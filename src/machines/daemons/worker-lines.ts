import type { Config } from '../../config/config.js';
import { PLACEHOLDER_WORKERS_PARTITION } from '../../cluster/slurm/placeholder-jobs.js';
import { WORKERS_PARTITION } from '../../cluster/slurm/partitions.js';

/** More than workers and SSH hosts together; Slurm wants to know before it takes in nodes that it was not told of. */
const maxNodes = 1024;
/** Until a worker has a job's dataset, the job has not begun; Slurm would take it for lost after 10 s. */
const longestPreparationSeconds = 12 * 60 * 60;

/**
 * What slurm.conf says of workers, which are dynamic nodes (slurm.schedmd.com/dynamic_nodes.html); nothing when none may join.
 * A worker's GPUs stand in its own gres.conf alone (tried with 22.05).
 */
export function workerLines(join: Config['join'], maxTime: string): string[] {
  if (join === undefined) return [];
  return [
    `MaxNodeCount=${maxNodes}`,
    `SlurmdTimeout=${join.timeoutSeconds}`,
    `BatchStartTimeout=${longestPreparationSeconds}`,
    'Nodeset=workers Feature=worker',
    // Opened once a slurmctld that starts has been told of the workers' GPUs, see worker-gpus.ts; a reconfiguration is not to close it.
    'ReconfigFlags=KeepPartState',
    `PartitionName=${WORKERS_PARTITION} Nodes=workers MaxTime=${maxTime} AllowGroups=runner State=DOWN`,
    `PartitionName=${PLACEHOLDER_WORKERS_PARTITION} Nodes=workers Hidden=YES PriorityTier=100 AllowGroups=jobrunner State=UP`,
  ];
}
