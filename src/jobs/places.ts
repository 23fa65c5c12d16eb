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
import { MAIN_PARTITION, SSH_PARTITION } from '../slurm/partitions.js';
import type { JobRequest } from './job.js';
import { memoryMbOf, refuseImpossible, type NodeLimits } from './limits.js';

/** Whether the job is to run on a host that is reached over SSH, not on this machine and its GPUs. */
export function isRemote({ partition }: Pick<JobRequest, 'partition'>): boolean {
  return partition === SSH_PARTITION;
}

/** Where a job may run, and what it can have there. */
export interface Place {
  isRemote: boolean;
  /** The most that one job can have of each thing. */
  limits: NodeLimits;
  /** @throws AppError unprocessable with the limit. */
  refuse(request: JobRequest): void;
  /** The GPUs among which one is chosen for that job. */
  fleetFor(request: JobRequest): GpuFleet;
}

/** The partitions that jobs are sent to: this machine, and the SSH hosts. */
export class Places {
  constructor(
    private readonly local: { limits: NodeLimits; fleet: GpuFleet },
    private readonly hosts: HostList,
  ) {}

  /** @throws AppError unprocessable for a partition that is not there. */
  of(partition: string | undefined): Place {
    const hosts = this.hosts.open();
    if (partition === undefined || partition === MAIN_PARTITION) return this.#here();
    if (partition === SSH_PARTITION && hosts.length > 0) return this.#sshHosts(hosts);
    const there = hosts.length > 0 ? `${MAIN_PARTITION}, ${SSH_PARTITION}` : MAIN_PARTITION;
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
      limits,
      refuse: (request) => {
        refuseImpossible(request, limits);
        refuseImpossibleGpus(fleet.gpus, request, fleet.shardsPerGpu);
      },
      fleetFor: () => fleet,
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
      limits,
      refuse: (request) => {
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
