import type { GpuFleet } from '../cluster/gpus/choose.js';
import type { Job } from '../jobs/job.js';
import type { NodeLimits } from '../jobs/placement/limits.js';
import { NODE_NAME } from '../config/layout.js';
import type { HostList } from '../cluster/ssh-hosts/host-list.js';
import { MAIN_PARTITION } from '../cluster/slurm/partitions.js';
import { shareOf, type Share } from './share.js';

/** Where the queue server's jobs run, and with what. */
export interface QueueTargets {
  /**
   * What each job asks for.
   * @param gpus as JR_QUEUE_GPUS says
   */
  share(gpus: number): Share;
  /** The longest that one may run, in Slurm's format. */
  maxTime(): string;
  /** Nodes in the order of their numbers. */
  nodeNames(): string[];
  partitionOf(job: Job): string | undefined;
  /** The node that a job will run at where there is only one. */
  onlyNodeOf(job: Job): string | undefined;
}

/** This machine, and the SSH hosts as their file has them. */
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
