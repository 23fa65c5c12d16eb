import { setTimeout as delay } from 'node:timers/promises';
import type { Layout } from '../../config/layout.js';
import { PLACEHOLDER_PARTITION } from '../../cluster/slurm/placeholder-jobs.js';
import {
  WORKERS_PARTITION,
  MAIN_PARTITION,
  SSH_PARTITION,
} from '../../cluster/slurm/partitions.js';
import { scontrol } from './job-processes.js';

/** Nothing starts any more; what waits stays waiting. A start of slurmctld sets it up again, as slurm.conf has it. */
export async function closePartitions(layout: Layout): Promise<void> {
  for (const partition of [MAIN_PARTITION, SSH_PARTITION, WORKERS_PARTITION, PLACEHOLDER_PARTITION])
    await scontrol(layout, 'update', `PartitionName=${partition}`, 'State=DOWN');
}

/** For placeholders alone. Those that ran when the stack was stopped are lost: the API sets new ones before it listens. */
export async function openForPlaceholders(layout: Layout): Promise<void> {
  await scontrol(layout, 'update', `PartitionName=${PLACEHOLDER_PARTITION}`, 'State=UP');
}

/** The placeholders come first, so that they have their GPUs before a job can. Workers' is opened by WorkerGpus. */
export async function openPartitions(layout: Layout): Promise<void> {
  for (const partition of [PLACEHOLDER_PARTITION, MAIN_PARTITION, SSH_PARTITION])
    await scontrol(layout, 'update', `PartitionName=${partition}`, 'State=UP');
}

/**
 * Waits until each node's slurmd, started no earlier than that time (milliseconds since 1970), has told slurmctld of the node's
 * GPUs. Slurm 22.05 takes a node for ready before that when it was so at a crash, and then starts jobs without the GPUs they
 * ask for.
 * @returns those that have not after `timeoutMs`.
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
