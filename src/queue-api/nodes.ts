import type { Job, JobId } from '../jobs/job.js';
import type { SlurmNode } from '../cluster/slurm/nodes.js';
import type { QueueNode } from './replies.js';
import { queueStateOf } from './state.js';

export interface NodeFacts {
  /** Jobs that have not ended. */
  live: readonly Job[];
  /** Durations that users expect, in seconds. */
  expected: ReadonlyMap<JobId, number>;
  now: number;
  partitionOf: (job: Job) => string | undefined;
}

export function viewNodes(
  names: readonly string[],
  nodes: readonly SlurmNode[],
  { live, expected, now, partitionOf }: NodeFacts,
): QueueNode[] {
  const secondsOf = (job: Job) => expected.get(job.job_id) ?? job.request.timeout ?? 0;
  return names.map((name, nodeId) => {
    const node = nodes.find((one) => one.name === name);
    const partition = node?.partition.replace(/\*$/, '') ?? null;
    const isPeer = (one: SlurmNode) => one.partition === node?.partition;
    const peers = Math.max(1, nodes.filter(isPeer).length);
    const running = live.filter((job) => job.node_list === name && queueStateOf(job) === 'running');
    const queued = live.filter(
      (job) => partitionOf(job) === partition && queueStateOf(job) === 'pending',
    );
    const left = running.map((job) =>
      Math.max(0, secondsOf(job) - (now - (job.started_at ?? now)) / 1000),
    );
    const toCome = queued.map((job) => secondsOf(job) / peers);
    const seconds = [...left, ...toCome].reduce((sum, one) => sum + one, 0);
    return {
      node_id: nodeId,
      name,
      partition,
      status: node?.state ?? 'unknown',
      reason: node?.reason ?? null,
      running_jobs: running.length,
      queued_jobs: queued.length,
      expected_queue_seconds: Math.round(seconds * 10) / 10,
    };
  });
}
