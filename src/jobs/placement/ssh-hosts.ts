import { AppError } from '../../errors.js';
import { shardRequestFor, eligibleGpus, checkGpus } from '../../cluster/gpus/request.js';
import type { GpuFleet } from '../../cluster/gpus/choose.js';
import {
  gpuMemoryMbOf,
  gpusOfHost,
  memoryMbOf as hostMemoryMb,
} from '../../cluster/ssh-hosts/capacity.js';
import type { ResolvedHost } from '../../cluster/ssh-hosts/resolved-hosts.js';
import type { JobRequest } from '../job.js';
import { memoryMbOf, checkLimits, type NodeLimits } from './limits.js';
import { mayBeRemote, type Target } from './target.js';

/** The SSH hosts: Slurm takes one that has what is asked for. */
export function sshTarget(
  hosts: readonly ResolvedHost[],
  local: { limits: NodeLimits; fleet: GpuFleet },
): Target {
  const { maxTime } = local.limits;
  const { shardsPerGpu, gpuType } = local.fleet;
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
    folderOwner: 'jr-remote',
    mayBeRemote: true,
    isRival: mayBeRemote,
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
      checkLimits(request, limits);
      if (!hosts.some((host) => hasGpus(host, request, shardsPerGpu)))
        checkGpus(largestFleet(hosts, request), request, shardsPerGpu);
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

function hasGpus(host: ResolvedHost, request: JobRequest, shardsPerGpu: number): boolean {
  if (request.gpus === 0 && request.gpu_mem_gb === undefined) return true;
  const possible = eligibleGpus(gpusOfHost(host), request, shardsPerGpu);
  const first = possible[0];
  const ask = first && shardRequestFor(first, request, shardsPerGpu);
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
