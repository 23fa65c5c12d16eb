import { fieldError } from '../../errors.js';
import type { GpuShards } from '../../cluster/gpus/request.js';
import {
  gpuMemoryFeature,
  gpuMemoryFeatureOf,
  gpuMemoryMbOf,
} from '../../cluster/ssh-hosts/capacity.js';
import type { HostList } from '../../cluster/ssh-hosts/host-list.js';
import {
  ANY_PARTITION,
  WORKERS_PARTITION,
  MAIN_PARTITION,
  SSH_PARTITION,
} from '../../cluster/slurm/partitions.js';
import type { WorkerList } from '../../cluster/workers/worker-list.js';
import { firstFreeTarget, type FirstFreeTarget } from './first-free.js';
import type { LocalResources } from './fleet-target.js';
import type { Job, JobRequest } from '../job.js';
import { mayBeRemote, type Target, type Targets } from './target.js';
import { thisMachine } from './this-machine.js';
import { thisMachineOrWorkers, workers } from './workers.js';
import { sshTarget } from './ssh-hosts.js';

/** The partitions of our own cluster: this machine, workers, and SSH hosts. */
export class OwnTargets implements Targets {
  readonly #local: LocalResources;
  readonly #hosts: HostList;
  /** Undefined where no worker may join. */
  readonly #workers: WorkerList | undefined;

  constructor(
    local: LocalResources,
    hosts: HostList,

    workers?: WorkerList,
  ) {
    this.#local = local;
    this.#hosts = hosts;
    this.#workers = workers;
  }

  mayBeRemote(job: Pick<Job, 'request' | 'node_list'>): boolean {
    return mayBeRemote(job);
  }

  isForFirstFree({ partition }: Pick<JobRequest, 'partition'>): boolean {
    return partition === ANY_PARTITION;
  }

  partitionOf(request: JobRequest): string | undefined {
    const { partition, screen, gpu_mem_gb: memory } = request;
    // The hosts may have gone since the job was submitted.
    if (partition === ANY_PARTITION)
      return this.#hosts.open().length > 0 ? `${MAIN_PARTITION},${SSH_PARTITION}` : MAIN_PARTITION;
    if (partition !== undefined || this.#workers === undefined) return partition;
    if (screen) return MAIN_PARTITION;
    // On a smaller GPU the same shares would hold less memory than the job asked for.
    const least = Math.max(...this.#local.fleet.gpus.map((gpu) => gpu.memoryMb));
    const isLess = this.#workers
      .open()
      .some((worker) => worker.gpus.some((gpu) => gpu.memory_mb < least));
    return memory !== undefined && isLess
      ? MAIN_PARTITION
      : `${MAIN_PARTITION},${WORKERS_PARTITION}`;
  }

  /** @throws AppError unprocessable for an unknown partition. */
  forPartition(asked: string | undefined): Target {
    const firstFree = asked === ANY_PARTITION ? this.#firstFree() : undefined;
    if (firstFree) return firstFree;
    const partition = asked === ANY_PARTITION ? undefined : asked;
    const hosts = this.#hosts.open();
    const machines = this.#workers?.open() ?? [];
    if (partition === undefined && machines.length > 0)
      return thisMachineOrWorkers(machines, this.#local);
    if (partition === undefined || partition === MAIN_PARTITION) return thisMachine(this.#local);
    if (partition === WORKERS_PARTITION && machines.length > 0)
      return workers(machines, this.#local);
    if (partition === SSH_PARTITION && hosts.length > 0) return sshTarget(hosts, this.#local);
    const available = [
      MAIN_PARTITION,
      ...(machines.length > 0 ? [WORKERS_PARTITION] : []),
      ...(hosts.length > 0 ? [SSH_PARTITION, ANY_PARTITION] : []),
    ];
    const hint =
      partition === SSH_PARTITION ? '; SSH hosts are named in the file of JR_SSH_NODES' : '';
    throw fieldError(
      'unprocessable',
      'partition',
      `unknown partition "${partition}"; available: ${available.join(', ')}${hint}`,
      { details: { partitions: available } },
    );
  }

  resolvePartition(request: JobRequest): JobRequest {
    if (request.partition !== ANY_PARTITION) return request;
    const firstFree = this.#firstFree();
    if (firstFree === undefined) return { ...request, partition: undefined };
    const [partition, ...others] = firstFree.partitionsFor(request);
    return others.length > 0 ? request : { ...request, partition };
  }

  constraintOf(request: JobRequest, asked: GpuShards | null): string | undefined {
    const partitions = this.partitionOf(request)?.split(',') ?? [];
    if (!partitions.includes(SSH_PARTITION) || request.gpu_mem_gb === undefined || asked === null)
      return undefined;
    const wanted = request.gpu_mem_gb * 1024;
    const { shardsPerGpu } = this.#local.fleet;
    const { shards } = asked;
    const withGpus = this.#hosts.open().filter((host) => host.gpus.count > 0);
    // The tolerance of 1 MiB allows for rounding to whole shares.
    const large = withGpus.filter(
      (host) => (gpuMemoryMbOf(host) * shards) / shardsPerGpu >= wanted - 1,
    );
    if (large.length === withGpus.length) return undefined;
    const own = partitions.includes(MAIN_PARTITION)
      ? this.#local.fleet.gpus.map(({ memoryMb }) => memoryMb)
      : [];
    const features = [
      ...large.map(gpuMemoryFeature),
      ...(own.length > 0 ? [gpuMemoryFeatureOf(Math.min(...own))] : []),
    ];
    return [...new Set(features)].join('|') || undefined;
  }

  /** Returns undefined if there is no SSH host: the job then names no partition. */
  #firstFree(): FirstFreeTarget | undefined {
    const hosts = this.#hosts.open();
    if (hosts.length === 0) return undefined;
    return firstFreeTarget(thisMachine(this.#local), sshTarget(hosts, this.#local), this.#local);
  }
}
