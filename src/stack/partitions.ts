import { setTimeout as delay } from 'node:timers/promises';
import { NODE_NAME, type Layout } from '../layout.js';
import { HOLD_PARTITION } from '../slurm/hold.js';
import { scontrol } from './job-processes.js';

/** Nothing starts any more; what waits stays waiting. A start of slurmctld sets it up again, as slurm.conf has it. */
export async function closePartitions(layout: Layout): Promise<void> {
  for (const partition of ['main', HOLD_PARTITION])
    await scontrol(layout, 'update', `PartitionName=${partition}`, 'State=DOWN');
}

/** The placeholders come first, so that they have their GPUs before a job can. */
export async function openPartitions(layout: Layout): Promise<void> {
  for (const partition of [HOLD_PARTITION, 'main'])
    await scontrol(layout, 'update', `PartitionName=${partition}`, 'State=UP');
}

/**
 * Waits until slurmd, started at that time (milliseconds since 1970), has told slurmctld of the node's GPUs. Slurm 22.05 takes
 * the node for ready before that when it was so at a crash, and then starts jobs without the GPUs they ask for.
 */
export async function waitForNode(
  layout: Layout,
  startedAt: number,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const node = (await scontrol(layout, 'show', 'node', NODE_NAME, '--oneliner')) ?? '';
    const registered = Date.parse(`${/ SlurmdStartTime=(\S+)/.exec(node)?.[1] ?? ''}Z`);
    if (registered >= Math.floor(startedAt / 1000) * 1000) return;
    await delay(50, undefined, { signal });
  }
}
