import { type AppError, fieldError } from '../../errors.js';
import { shardRequestFor, eligibleGpus, checkGpus } from '../../cluster/gpus/request.js';
import {
  gpuMemoryMbOf,
  gpusOfHost,
  memoryMbOf as hostMemoryMb,
} from '../../cluster/ssh-hosts/capacity.js';
import type { ResolvedHost } from '../../cluster/ssh-hosts/resolved-hosts.js';
import type { JobRequest } from '../job.js';
import { choosingOf, type FleetTarget, type LocalResources } from './fleet-target.js';
import { checkLimits, memoryMbOf } from './limits.js';
import { mayBeRemote } from './target.js';

/** The SSH hosts; Slurm takes one that has everything the job asks for. */
export function sshTarget(hosts: readonly ResolvedHost[], local: LocalResources): FleetTarget {
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
    limits,
    problemWith: (request) => {
      const problem = checkOptions(request) ?? checkLimits(request, limits);
      if (problem) return problem;
      if (hosts.some((host) => fits(host, request))) return undefined;
      const noneHasGpus = !hosts.some((host) => hasGpus(host, request, shardsPerGpu));
      const gpuProblem = noneHasGpus
        ? checkGpus(largestFleet(hosts, request), request, shardsPerGpu)
        : undefined;
      return gpuProblem ?? notAllAtOnce(request);
    },
    ...choosingOf({
      gpusFor: (request) => {
        const possible = hosts.filter((host) => fits(host, request));
        // The smallest GPUs that are enough: a larger one gives the same share more memory.
        const smallest = possible.reduce((a, b) => (gpuMemoryMbOf(b) < gpuMemoryMbOf(a) ? b : a));
        const count = Math.max(...possible.map((host) => host.gpus.count));
        const gpus = gpusOfHost({ gpus: { ...smallest.gpus, count } });
        return { gpus, shardsPerGpu, gpuType };
      },
      competes: mayBeRemote,
      isClosed: () => false,
    }),
  };
}

function checkOptions({ requeue, screen }: JobRequest): AppError | undefined {
  if (requeue)
    return fieldError(
      'unprocessable',
      'requeue',
      'a job on an SSH host keeps running while the host is unreachable; leave it out',
    );
  if (screen)
    return fieldError(
      'unprocessable',
      'screen',
      'a session on an SSH host cannot be attached to from here; leave it out and follow the log',
    );
  return undefined;
}

function notAllAtOnce({ cpus, mem_gb }: JobRequest): AppError {
  return fieldError(
    'unprocessable',
    'partition',
    `no SSH host has ${cpus} CPU(s), ${mem_gb} GiB of memory and the requested GPUs together; ask for less`,
  );
}

function hasGpus(host: ResolvedHost, request: JobRequest, shardsPerGpu: number): boolean {
  if (request.gpus === 0 && request.gpu_mem_gb === undefined) return true;
  const possible = eligibleGpus(gpusOfHost(host), request, shardsPerGpu);
  const first = possible[0];
  const ask = first && shardRequestFor(first, request, shardsPerGpu);
  return ask !== undefined && possible.length >= ask.count;
}

/** Returns the GPUs of the host that comes closest to the request, for the error message. */
function largestFleet(hosts: readonly ResolvedHost[], request: JobRequest) {
  const size = (host: ResolvedHost) =>
    request.gpu_mem_gb === undefined
      ? host.gpus.count
      : Math.min(1, host.gpus.count) * gpuMemoryMbOf(host);
  return gpusOfHost(hosts.reduce((a, b) => (size(b) > size(a) ? b : a)));
}
