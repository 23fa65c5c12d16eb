import type { Job } from '../jobs/job.js';
import type { QueuePlaces } from './places.js';
import type { Share } from './share.js';
import type { ExternalInventory } from '../cluster/external/inventory.js';
import type { ExternalTargets } from '../jobs/placement/external.js';

/** Jobs of the queue server's API on an external cluster: in the default partition, with its usual CPUs and memory. */
export class ExternalQueueTargets implements QueuePlaces {
  readonly #places: ExternalTargets;
  readonly #inventory: Pick<ExternalInventory, 'partitions'>;

  constructor(places: ExternalTargets, inventory: Pick<ExternalInventory, 'partitions'>) {
    this.#places = places;
    this.#inventory = inventory;
  }

  share(gpus: number): Share {
    // Never more than a node has; the queue server's files do not say what a job needs.
    const most = this.#places.gpusByDefault();
    return { partition: undefined, gpus: Math.min(gpus, most), cpus: 1, mem_gb: undefined };
  }

  maxTime(): string {
    return this.#places.forPartition(undefined).limits.maxTime;
  }

  nodeNames(): string[] {
    const nodes = this.#inventory.partitions().flatMap((one) => one.nodes);
    return [...new Set(nodes.map((node) => node.name))].sort();
  }

  partitionOf(job: Job): string | undefined {
    return this.#places.find(job.request.partition)?.name;
  }

  onlyNodeOf(job: Job): string | undefined {
    const [first, ...others] = this.#places.find(job.request.partition)?.nodes ?? [];
    return others.length === 0 ? first?.name : undefined;
  }
}
