import { setTimeout as delay } from 'node:timers/promises';
import type { Layout } from '../../config/layout.js';
import { PLACEHOLDER_PARTITION } from '../../cluster/slurm/placeholder-jobs.js';
import {
  WORKERS_PARTITION,
  MAIN_PARTITION,
  SSH_PARTITION,
} from '../../cluster/slurm/partitions.js';
import { scontrol } from './job-processes.js';

/**
 * Closes the partitions: no job starts, and waiting jobs wait. A start of slurmctld
 * resets them to slurm.conf.
 */
export async function closePartitions(layout: Layout): Promise<void> {
  for (const partition of [MAIN_PARTITION, SSH_PARTITION, WORKERS_PARTITION, PLACEHOLDER_PARTITION])
    await scontrol(layout, 'update', `PartitionName=${partition}`, 'State=DOWN');
}

/**
 * Opens them for placeholders only. A stop of the stack loses the old ones: the API sets new ones
 * before it listens.
 */
export async function openForPlaceholders(layout: Layout): Promise<void> {
  await scontrol(layout, 'update', `PartitionName=${PLACEHOLDER_PARTITION}`, 'State=UP');
}

/** Opens them after the placeholders have their GPUs. WorkerGpus opens the workers' partition. */
export async function openPartitions(layout: Layout): Promise<void> {
  for (const partition of [PLACEHOLDER_PARTITION, MAIN_PARTITION, SSH_PARTITION])
    await scontrol(layout, 'update', `PartitionName=${partition}`, 'State=UP');
}

/**
 * Waits until each node's slurmd, started no earlier than `since` (milliseconds since 1970), has
 * reported the node's GPUs to slurmctld. After a crash, Slurm 22.05 believes a node's old state
 * before that, and starts jobs without the GPUs they ask for.
 * @returns the nodes that have not reported within `timeoutMs`
 */
export async function waitForNodes(
  layout: Layout,
  names: readonly string[],
  startedAt: number,
  signal: AbortSignal,
  timeoutMs = Infinity,
): Promise<string[]> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const nodes = (await scontrol(layout, 'show', 'node', '--oneliner')) ?? '';
    const registered = new Set(
      nodes
        .split('\n')
        .filter((line) => {
          const since = Date.parse(`${/ SlurmdStartTime=(\S+)/.exec(line)?.[1] ?? ''}Z`);
          return since >= Math.floor(startedAt / 1000) * 1000;
        })
        .map((line) => /^NodeName=(\S+)/.exec(line)?.[1]),
    );
    const silent = names.filter((name) => !registered.has(name));
    if (silent.length === 0 || Date.now() > deadline) return silent;
    await delay(50, undefined, { signal });
  }
}
