import type { Config } from '../../config/config.js';
import { PLACEHOLDER_BOXES_PARTITION } from '../../cluster/slurm/placeholder-jobs.js';
import { BOXES_PARTITION } from '../../cluster/slurm/partitions.js';

/** More than boxes and SSH hosts together; Slurm wants to know before it takes in nodes that it was not told of. */
const mostNodes = 1024;
/** Until a box has a job's dataset, the job has not begun; Slurm would take it for lost after 10 s. */
const longestPreparationSeconds = 12 * 60 * 60;

/**
 * What slurm.conf says of worker boxes, which are dynamic nodes (slurm.schedmd.com/dynamic_nodes.html); nothing when none may join.
 * A box's GPUs stand in its own gres.conf alone (tried with 22.05).
 */
export function boxLines(join: Config['join'], maxTime: string): string[] {
  if (join === undefined) return [];
  return [
    `MaxNodeCount=${mostNodes}`,
    `SlurmdTimeout=${join.timeoutSeconds}`,
    `BatchStartTimeout=${longestPreparationSeconds}`,
    'Nodeset=boxes Feature=box',
    // Opened once a slurmctld that starts has been told of the boxes' GPUs, see box-gpus.ts; a reconfiguration is not to close it.
    'ReconfigFlags=KeepPartState',
    `PartitionName=${BOXES_PARTITION} Nodes=boxes MaxTime=${maxTime} AllowGroups=runner State=DOWN`,
    `PartitionName=${PLACEHOLDER_BOXES_PARTITION} Nodes=boxes Hidden=YES PriorityTier=100 AllowGroups=jobrunner State=UP`,
  ];
}
