import { type AppError, fieldError } from '../../errors.js';
import type { Gpu } from '../../cluster/gpus/gpu.js';
import { checkGpus } from '../../cluster/gpus/request.js';
import type { WorkerRecord } from '../../cluster/workers/record.js';
import type { JobRequest } from '../job.js';
import { choosingOf, type FleetTarget, type LocalResources } from './fleet-target.js';
import { checkLimits } from './limits.js';
import { mayBeRemote, mayUseLocalGpus } from './target.js';
import { thisMachine } from './this-machine.js';

/** The other machines with our image that have joined the cluster. */
export function workers(machines: readonly WorkerRecord[], local: LocalResources): FleetTarget {
  const { shardsPerGpu, gpuType } = local.fleet;
  const limits = {
    cpus: Math.max(...machines.map((worker) => worker.cpus)),
    memoryMb: Math.max(...machines.map((worker) => worker.memory_mb)),
    maxTime: local.limits.maxTime,
  };
  const gpus = gpusOf(machines);
  return {
    folderOwner: 'job-user',
    mayBeRemote: false,
    limits,
    problemWith: (request) =>
      checkScreen(request) ??
      checkLimits(request, limits) ??
      checkGpus(gpus, request, shardsPerGpu),
    ...choosingOf({
      gpusFor: () => ({ gpus, shardsPerGpu, gpuType }),
      competes: (job) => !mayBeRemote(job) && !mayUseLocalGpus(job),
      isClosed: () => false,
    }),
  };
}

/** This machine if it can run the job; otherwise a worker. */
export function thisMachineOrWorkers(
  machines: readonly WorkerRecord[],
  local: LocalResources,
): FleetTarget {
  const here = thisMachine(local);
  const there = workers(machines, local);
  const fitsHere = (request: JobRequest) => here.problemWith(request) === undefined;
  return {
    folderOwner: 'job-user',
    mayBeRemote: false,
    limits: {
      cpus: Math.max(here.limits.cpus, there.limits.cpus),
      memoryMb: Math.max(here.limits.memoryMb, there.limits.memoryMb),
      maxTime: here.limits.maxTime,
    },
    problemWith: (request) => (fitsHere(request) ? undefined : there.problemWith(request)),
    ...choosingOf({
      gpusFor: (request) => (fitsHere(request) ? here : there).gpusFor(request),
      competes: mayUseLocalGpus,
      isClosed: local.isClosed,
    }),
  };
}

function checkScreen({ screen }: JobRequest): AppError | undefined {
  if (!screen) return undefined;
  return fieldError(
    'unprocessable',
    'screen',
    'a session on a worker cannot be attached to from here; leave it out and follow the log',
  );
}

/**
 * Returns as many GPUs as the largest worker has, each as small as the smallest. On a larger one
 * the same share is more memory, never less.
 */
function gpusOf(machines: readonly WorkerRecord[]): Gpu[] {
  const all = machines.flatMap((worker) => worker.gpus);
  const smallest = Math.min(...all.map((gpu) => gpu.memory_mb));
  const count = Math.max(...machines.map((worker) => worker.gpus.length));
  return Array.from({ length: count }, (_, index) => ({
    index,
    device: '',
    uuid: null,
    model: all[0]?.model ?? '',
    memoryMb: smallest,
  }));
}
