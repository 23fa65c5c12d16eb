import type { GpuFleet } from '../cluster/gpus/choose.js';
import type { Job } from '../jobs/job.js';
import type { NodeLimits } from '../jobs/placement/limits.js';
import { NODE_NAME } from '../config/layout.js';
import type { HostList } from '../cluster/ssh-hosts/host-list.js';
import { MAIN_PARTITION } from '../cluster/slurm/partitions.js';
import { shareOf, type Share } from './share.js';

/** Target of the queue server’s jobs, and their resources. */
export interface QueueTargets {
  /**
   * Returns the resources that each job requests.
   * @param gpus value of JR_QUEUE_GPUS
   */
  share(gpus: number): Share;
  /** Returns the longest permitted run time, in Slurm’s format. */
  maxTime(): string;
  /** Lists the nodes in the order of their numbers. */
  nodeNames(): string[];
  partitionOf(job: Job): string | undefined;
  /** Returns the only node that a job can run on; undefined if there are several. */
  onlyNodeOf(job: Job): string | undefined;
}

/** This machine and the SSH hosts of the hosts file. */
export class OwnQueueTargets implements QueueTargets {
  readonly #here: { limits: NodeLimits; fleet: GpuFleet };
  readonly #hosts: Pick<HostList, 'all' | 'open'>;

  constructor(
    here: { limits: NodeLimits; fleet: GpuFleet },
    hosts: Pick<HostList, 'all' | 'open'>,
  ) {
    this.#here = here;
    this.#hosts = hosts;
  }

  share(gpus: number): Share {
    return shareOf(gpus, this.#here, this.#hosts.open());
  }

  maxTime(): string {
    return this.#here.limits.maxTime;
  }

  nodeNames(): string[] {
    return [NODE_NAME, ...this.#hosts.all().map((host) => host.name)];
  }

  partitionOf(job: Job): string {
    return job.request.partition ?? MAIN_PARTITION;
  }

  onlyNodeOf(job: Job): string | undefined {
    if (this.partitionOf(job) === MAIN_PARTITION) return NODE_NAME;
    const [first, ...others] = this.#hosts.open();
    return others.length === 0 ? first?.name : undefined;
  }
}
