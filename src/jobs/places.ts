import { AppError } from '../errors.js';
import { askOn, candidates, readGres, refuseImpossibleGpus } from '../gpus/ask.js';
import type { GpuFleet } from '../gpus/choose.js';
import {
  gpuMemoryFeature,
  gpuMemoryMbOf,
  gpusOfHost,
  memoryMbOf as hostMemoryMb,
} from '../remote/capacity.js';
import type { HostList } from '../remote/host-list.js';
import type { ResolvedHost } from '../remote/resolved-hosts.js';
import { BOXES_PARTITION, MAIN_PARTITION, SSH_PARTITION } from '../slurm/partitions.js';
import type { BoxList } from '../boxes/box-list.js';
import type { BoxRecord } from '../boxes/record.js';
import type { Gpu } from '../gpus/gpu.js';
import { NODE_NAME } from '../layout.js';
import type { Job, JobRequest } from './job.js';
import { memoryMbOf, refuseImpossible, type NodeLimits } from './limits.js';
import type { JobPlaces, Place } from './place.js';

/** Whether the job is to run on a host that is reached over SSH, not on this machine and its GPUs. */
export function isRemote({ partition }: Pick<JobRequest, 'partition'>): boolean {
  return partition === SSH_PARTITION;
}

/** Whether the job runs, or may come to run, on this machine's GPUs. */
export function isHere({ request, node_list }: Pick<Job, 'request' | 'node_list'>): boolean {
  if (isRemote(request) || request.partition === BOXES_PARTITION) return false;
  return node_list === null || node_list === NODE_NAME;
}

/** The partitions that jobs are sent to: this machine, and the SSH hosts. */
export class Places implements JobPlaces {
  constructor(
    private readonly local: { limits: NodeLimits; fleet: GpuFleet },
    private readonly hosts: HostList,
    /** Undefined where no worker box may join. */
    private readonly boxes?: BoxList,
  ) {}

  /** Slurm's partitions for the job; the first place free where there are several. */
  partitionOf({ partition, screen, gpu_mem_gb: memory }: JobRequest): string | undefined {
    if (partition !== undefined || this.boxes === undefined) return partition;
    if (screen) return MAIN_PARTITION;
    // So many shares of a smaller GPU would be less memory than was asked for.
    const least = Math.max(...this.local.fleet.gpus.map((gpu) => gpu.memoryMb));
    const isLess = this.boxes.open().some((box) => box.gpus.some((gpu) => gpu.memory_mb < least));
    return memory !== undefined && isLess ? MAIN_PARTITION : `${MAIN_PARTITION},${BOXES_PARTITION}`;
  }

  /** @throws AppError unprocessable for a partition that is not there. */
  of(partition: string | undefined): Place {
    const hosts = this.hosts.open();
    const boxes = this.boxes?.open() ?? [];
    if (partition === undefined && boxes.length > 0) return this.#anywhere(boxes);
    if (partition === undefined || partition === MAIN_PARTITION) return this.#here();
    if (partition === BOXES_PARTITION && boxes.length > 0) return this.#onBoxes(boxes);
    if (partition === SSH_PARTITION && hosts.length > 0) return this.#sshHosts(hosts);
    const there = [
      MAIN_PARTITION,
      ...(boxes.length > 0 ? [BOXES_PARTITION] : []),
      ...(hosts.length > 0 ? [SSH_PARTITION] : []),
    ].join(', ');
    const hint =
      partition === SSH_PARTITION ? '; SSH hosts are named in the file of JR_SSH_NODES' : '';
    throw new AppError(
      'unprocessable',
      `partition: there is no ${partition} here; there is ${there}${hint}`,
      { details: { field: 'partition', partitions: there.split(', ') } },
    );
  }

  /** The nodes' features, one of which is needed, as sbatch takes them; undefined where any host will do. */
  constraintOf(request: JobRequest, gres: string | null): string | undefined {
    if (!isRemote(request) || request.gpu_mem_gb === undefined || gres === null) return undefined;
    const wanted = request.gpu_mem_gb * 1024;
    const { shardsPerGpu } = this.local.fleet;
    const { shards } = readGres(gres);
    const withGpus = this.hosts.open().filter((host) => host.gpus.count > 0);
    // Less than a share is lost by rounding up to shares.
    const large = withGpus.filter(
      (host) => (gpuMemoryMbOf(host) * shards) / shardsPerGpu >= wanted - 1,
    );
    if (large.length === withGpus.length) return undefined;
    return [...new Set(large.map(gpuMemoryFeature))].join('|') || undefined;
  }

  #here(): Place {
    const { limits, fleet } = this.local;
    return {
      isRemote: false,
      isRival: isHere,
      isHere: true,
      limits,
      refuse: (request) => {
        refuseImpossible(request, limits);
        refuseImpossibleGpus(fleet.gpus, request, fleet.shardsPerGpu);
      },
      fleetFor: () => fleet,
    };
  }

  /** This machine where it has what the job asks for, else a box. */
  #anywhere(boxes: readonly BoxRecord[]): Place {
    const here = this.#here();
    const onBoxes = this.#onBoxes(boxes);
    const limits = {
      cpus: Math.max(here.limits.cpus, onBoxes.limits.cpus),
      memoryMb: Math.max(here.limits.memoryMb, onBoxes.limits.memoryMb),
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
        if (!fitsHere(request)) onBoxes.refuse(request);
      },
      fleetFor: (request) => (fitsHere(request) ? here : onBoxes).fleetFor(request),
    };
  }

  #onBoxes(boxes: readonly BoxRecord[]): Place {
    const { shardsPerGpu, gpuType } = this.local.fleet;
    const limits = {
      cpus: Math.max(...boxes.map((box) => box.cpus)),
      memoryMb: Math.max(...boxes.map((box) => box.memory_mb)),
      maxTime: this.local.limits.maxTime,
    };
    const gpus = gpusOfBoxes(boxes);
    return {
      isRemote: false,
      isRival: (job) => !isRemote(job.request) && !isHere(job),
      isHere: false,
      limits,
      refuse: (request) => {
        if (request.screen)
          throw new AppError(
            'unprocessable',
            'screen: a session on another box could not be attached to from here; leave it out, and follow the log',
            { details: { field: 'screen' } },
          );
        refuseImpossible(request, limits);
        refuseImpossibleGpus(gpus, request, shardsPerGpu);
      },
      fleetFor: () => ({ gpus, shardsPerGpu, gpuType }),
    };
  }

  #sshHosts(hosts: readonly ResolvedHost[]): Place {
    const { maxTime } = this.local.limits;
    const { shardsPerGpu, gpuType } = this.local.fleet;
    const limits = {
      cpus: Math.max(...hosts.map((host) => host.cpus)),
      memoryMb: Math.max(...hosts.map(hostMemoryMb)),
      maxTime,
    };
    const fits = (host: ResolvedHost, request: JobRequest) =>
      request.cpus <= host.cpus &&
      memoryMbOf(request) <= hostMemoryMb(host) &&
      hasGpus(host, request, shardsPerGpu);
    return {
      isRemote: true,
      isRival: ({ request }) => isRemote(request),
      isHere: false,
      limits,
      refuse: (request) => {
        if (request.requeue)
          throw new AppError(
            'unprocessable',
            'requeue: a job on an SSH host goes on there while it is not reached; leave it out',
            { details: { field: 'requeue' } },
          );
        if (request.screen)
          throw new AppError(
            'unprocessable',
            'screen: a session on an SSH host could not be attached to from here; leave it out, and follow the log',
            { details: { field: 'screen' } },
          );
        refuseImpossible(request, limits);
        if (!hosts.some((host) => hasGpus(host, request, shardsPerGpu)))
          refuseImpossibleGpus(largestFleet(hosts, request), request, shardsPerGpu);
        if (!hosts.some((host) => fits(host, request)))
          throw new AppError(
            'unprocessable',
            `partition: no SSH host has ${request.cpus} CPU(s), ${request.mem_gb} GiB of memory and the GPUs asked for all at once; ask for less of one of them`,
            { details: { field: 'partition' } },
          );
      },
      fleetFor: (request) => {
        const possible = hosts.filter((host) => fits(host, request));
        // The smallest GPUs that will do: on larger ones the same share is more memory, never less.
        const smallest = possible.reduce((a, b) => (gpuMemoryMbOf(b) < gpuMemoryMbOf(a) ? b : a));
        const count = Math.max(...possible.map((host) => host.gpus.count));
        const gpus = gpusOfHost({ gpus: { ...smallest.gpus, count } });
        return { gpus, shardsPerGpu, gpuType };
      },
    };
  }
}

function hasGpus(host: ResolvedHost, request: JobRequest, shardsPerGpu: number): boolean {
  if (request.gpus === 0 && request.gpu_mem_gb === undefined) return true;
  const possible = candidates(gpusOfHost(host), request, shardsPerGpu);
  const first = possible[0];
  const ask = first && askOn(first, request, shardsPerGpu);
  return ask !== undefined && possible.length >= ask.count;
}

/** For the words of a refusal: those of the host that has most of what is asked for. */
function largestFleet(hosts: readonly ResolvedHost[], request: JobRequest) {
  const size = (host: ResolvedHost) =>
    request.gpu_mem_gb === undefined
      ? host.gpus.count
      : Math.min(1, host.gpus.count) * gpuMemoryMbOf(host);
  return gpusOfHost(hosts.reduce((a, b) => (size(b) > size(a) ? b : a)));
}

/** As many as the box with most has, each as small as the smallest: on a larger one the same share is more memory, never less. */
function gpusOfBoxes(boxes: readonly BoxRecord[]): Gpu[] {
  const all = boxes.flatMap((box) => box.gpus);
  const smallest = Math.min(...all.map((gpu) => gpu.memory_mb));
  const count = Math.max(...boxes.map((box) => box.gpus.length));
  return Array.from({ length: count }, (_, index) => ({
    index,
    device: '',
    uuid: null,
    model: all[0]?.model ?? '',
    memoryMb: smallest,
  }));
}
