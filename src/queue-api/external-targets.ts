import type { Job } from '../jobs/job.js';
import type { QueueTargets } from './targets.js';
import type { Share } from './share.js';
import type { ExternalInventory } from '../cluster/external/inventory.js';
import type { ExternalTargets } from '../jobs/placement/external.js';

/**
 * Targets of the queue server’s API on an external cluster: the default partition, with its default
 * CPUs and memory.
 */
export class ExternalQueueTargets implements QueueTargets {
  readonly #targets: ExternalTargets;
  readonly #inventory: Pick<ExternalInventory, 'partitions'>;

  constructor(targets: ExternalTargets, inventory: Pick<ExternalInventory, 'partitions'>) {
    this.#targets = targets;
    this.#inventory = inventory;
  }

  share(gpus: number): Share {
    // At most the GPUs of one node; the queue server’s files do not state the needs of a job.
    const max = this.#targets.gpusByDefault();
    return { partition: undefined, gpus: Math.min(gpus, max), cpus: 1, mem_gb: undefined };
  }

  maxTime(): string {
    return this.#targets.forPartition(undefined).limits.maxTime;
  }

  nodeNames(): string[] {
    const nodes = this.#inventory.partitions().flatMap((one) => one.nodes);
    return [...new Set(nodes.map((node) => node.name))].sort();
  }

  partitionOf(job: Job): string | undefined {
    return this.#targets.find(job.request.partition)?.name;
  }

  onlyNodeOf(job: Job): string | undefined {
    const [first, ...others] = this.#targets.find(job.request.partition)?.nodes ?? [];
    return others.length === 0 ? first?.name : undefined;
  }
}
