import { AppError } from '../../errors.js';
import { readGres, checkGpus } from '../../cluster/gpus/request.js';
import type { GpuFleet } from '../../cluster/gpus/choose.js';
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
import type { WorkerRecord } from '../../cluster/workers/record.js';
import type { Gpu } from '../../cluster/gpus/gpu.js';
import { firstFreeTarget, type FirstFreeTarget } from './first-free.js';
import type { Job, JobRequest } from '../job.js';
import { checkLimits, type NodeLimits } from './limits.js';
import { mayUseLocalGpus, mayBeRemote, type Targets, type Target } from './target.js';
import { sshTarget } from './ssh-hosts.js';

/** The partitions that jobs are sent to: this machine, and the SSH hosts. */
export class OwnTargets implements Targets {
  constructor(
    private readonly local: { limits: NodeLimits; fleet: GpuFleet },
    private readonly hosts: HostList,
    /** Undefined where no worker may join. */
    private readonly workers?: WorkerList,
  ) {}

  mayBeRemote(job: Pick<Job, 'request' | 'node_list'>): boolean {
    return mayBeRemote(job);
  }

  isForFirstFree({ partition }: Pick<JobRequest, 'partition'>): boolean {
    return partition === ANY_PARTITION;
  }

  /** Slurm's partitions for the job; the first place free where there are several. */
  partitionOf(request: JobRequest): string | undefined {
    const { partition, screen, gpu_mem_gb: memory } = request;
    // Its hosts may have gone since.
    if (partition === ANY_PARTITION)
      return this.hosts.open().length > 0 ? `${MAIN_PARTITION},${SSH_PARTITION}` : MAIN_PARTITION;
    if (partition !== undefined || this.workers === undefined) return partition;
    if (screen) return MAIN_PARTITION;
    // So many shares of a smaller GPU would be less memory than was asked for.
    const least = Math.max(...this.local.fleet.gpus.map((gpu) => gpu.memoryMb));
    const isLess = this.workers
      .open()
      .some((worker) => worker.gpus.some((gpu) => gpu.memory_mb < least));
    return memory !== undefined && isLess
      ? MAIN_PARTITION
      : `${MAIN_PARTITION},${WORKERS_PARTITION}`;
  }

  /** @throws AppError unprocessable for a partition that is not there. */
  forPartition(asked: string | undefined): Target {
    const any = asked === ANY_PARTITION ? this.#firstFree() : undefined;
    if (any) return any;
    const partition = asked === ANY_PARTITION ? undefined : asked;
    const hosts = this.hosts.open();
    const workers = this.workers?.open() ?? [];
    if (partition === undefined && workers.length > 0) return this.#anywhere(workers);
    if (partition === undefined || partition === MAIN_PARTITION) return this.#onThisMachine();
    if (partition === WORKERS_PARTITION && workers.length > 0) return this.#onWorkers(workers);
    if (partition === SSH_PARTITION && hosts.length > 0) return sshTarget(hosts, this.local);
    const there = [
      MAIN_PARTITION,
      ...(workers.length > 0 ? [WORKERS_PARTITION] : []),
      ...(hosts.length > 0 ? [SSH_PARTITION, ANY_PARTITION] : []),
    ].join(', ');
    const hint =
      partition === SSH_PARTITION ? '; SSH hosts are named in the file of JR_SSH_NODES' : '';
    throw new AppError(
      'unprocessable',
      `partition: there is no ${partition} here; there is ${there}${hint}`,
      { details: { field: 'partition', partitions: there.split(', ') } },
    );
  }

  resolvePartition(request: JobRequest): JobRequest {
    if (request.partition !== ANY_PARTITION) return request;
    const any = this.#firstFree();
    if (any === undefined) return { ...request, partition: undefined };
    const [partition, ...others] = any.partitionsFor(request);
    return others.length > 0 ? request : { ...request, partition };
  }

  /** The nodes' features, one of which is needed, as sbatch takes them; undefined where any host will do. */
  constraintOf(request: JobRequest, gres: string | null): string | undefined {
    const partitions = this.partitionOf(request)?.split(',') ?? [];
    if (!partitions.includes(SSH_PARTITION) || request.gpu_mem_gb === undefined || gres === null)
      return undefined;
    const wanted = request.gpu_mem_gb * 1024;
    const { shardsPerGpu } = this.local.fleet;
    const { shards } = readGres(gres);
    const withGpus = this.hosts.open().filter((host) => host.gpus.count > 0);
    // Less than a share is lost by rounding up to shares.
    const large = withGpus.filter(
      (host) => (gpuMemoryMbOf(host) * shards) / shardsPerGpu >= wanted - 1,
    );
    if (large.length === withGpus.length) return undefined;
    const own = partitions.includes(MAIN_PARTITION)
      ? this.local.fleet.gpus.map(({ memoryMb }) => memoryMb)
      : [];
    const features = [
      ...large.map(gpuMemoryFeature),
      ...(own.length > 0 ? [gpuMemoryFeatureOf(Math.min(...own))] : []),
    ];
    return [...new Set(features)].join('|') || undefined;
  }

  /** Undefined where there is no SSH host: then it is as if no partition had been named. */
  #firstFree(): FirstFreeTarget | undefined {
    const hosts = this.hosts.open();
    if (hosts.length === 0) return undefined;
    return firstFreeTarget(this.#onThisMachine(), sshTarget(hosts, this.local), this.local.fleet);
  }

  #onThisMachine(): Target {
    const { limits, fleet } = this.local;
    return {
      folderOwner: 'job-user',
      mayBeRemote: false,
      isRival: mayUseLocalGpus,
      isHere: true,
      limits,
      refuse: (request) => {
        checkLimits(request, limits);
        checkGpus(fleet.gpus, request, fleet.shardsPerGpu);
      },
      fleetFor: () => fleet,
    };
  }

  /** This machine where it has what the job asks for, else a worker. */
  #anywhere(workers: readonly WorkerRecord[]): Target {
    const here = this.#onThisMachine();
    const onWorkers = this.#onWorkers(workers);
    const limits = {
      cpus: Math.max(here.limits.cpus, onWorkers.limits.cpus),
      memoryMb: Math.max(here.limits.memoryMb, onWorkers.limits.memoryMb),
      maxTime: here.limits.maxTime,
    };
    const fitsHere = (request: JobRequest) => {
      try {
        here.refuse(request);
        return true;
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        return false;
      }
    };
    return {
      ...here,
      limits,
      refuse: (request) => {
        if (!fitsHere(request)) onWorkers.refuse(request);
      },
      fleetFor: (request) => (fitsHere(request) ? here : onWorkers).fleetFor(request),
    };
  }

  #onWorkers(workers: readonly WorkerRecord[]): Target {
    const { shardsPerGpu, gpuType } = this.local.fleet;
    const limits = {
      cpus: Math.max(...workers.map((worker) => worker.cpus)),
      memoryMb: Math.max(...workers.map((worker) => worker.memory_mb)),
      maxTime: this.local.limits.maxTime,
    };
    const gpus = gpusOfWorkers(workers);
    return {
      folderOwner: 'job-user',
      mayBeRemote: false,
      isRival: (job) => !mayBeRemote(job) && !mayUseLocalGpus(job),
      isHere: false,
      limits,
      refuse: (request) => {
        if (request.screen)
          throw new AppError(
            'unprocessable',
            'screen: a session on another worker could not be attached to from here; leave it out, and follow the log',
            { details: { field: 'screen' } },
          );
        checkLimits(request, limits);
        checkGpus(gpus, request, shardsPerGpu);
      },
      fleetFor: () => ({ gpus, shardsPerGpu, gpuType }),
    };
  }
}

/** As many as the worker with most has, each as small as the smallest: on a larger one the same share is more memory, never less. */
function gpusOfWorkers(workers: readonly WorkerRecord[]): Gpu[] {
  const all = workers.flatMap((worker) => worker.gpus);
  const smallest = Math.min(...all.map((gpu) => gpu.memory_mb));
  const count = Math.max(...workers.map((worker) => worker.gpus.length));
  return Array.from({ length: count }, (_, index) => ({
    index,
    device: '',
    uuid: null,
    model: all[0]?.model ?? '',
    memoryMb: smallest,
  }));
}
