import type { Gpu } from './gpu.js';
import {
  choiceOf,
  eligibleGpus,
  shardRequestFor,
  type GpuChoice,
  type GpuRequest,
  type GpuShards,
} from './request.js';

/** How much of which GPU a job has or waits for. */
export interface GpuClaim {
  /** Null for a job without GPUs of ours. */
  gpu_shards: GpuShards | null;
  /** Null until it starts. */
  gpu_indices: number[] | null;
}

/** What is to be known of a job that has not ended, to say what is on the GPUs and who waits for them. */
export interface GpuJob extends GpuClaim {
  job_id: number;
  /** Whose it is. */
  user: string;
  /** Slurm's, or SUBMITTING. */
  state: string;
  started_at: number | null;
  warning: string | null;
  request: GpuRequest & { name: string };
}

export interface GpuFleet {
  gpus: readonly Gpu[];
  shardsPerGpu: number;
  /** The GRES type of GPU N is this and N. */
  gpuType: string;
}

/** How many GPUs' worth of work, running and waiting, is bound to each GPU. */
export function boundWork(claims: readonly GpuClaim[], fleet: GpuFleet): Map<number, number> {
  const work = new Map(fleet.gpus.map((gpu) => [gpu.index, 0]));
  for (const { gpu_shards: asked, gpu_indices: indices } of claims) {
    if (asked === null) continue;
    const { on, shards } = asked;
    for (const index of indices ?? on)
      work.set(index, (work.get(index) ?? 0) + shards / fleet.shardsPerGpu);
  }
  return work;
}

/**
 * Chooses what to ask Slurm for. Where any GPU will do, Slurm chooses. Otherwise those with the least
 * work are taken: among the open ones, or among all that are possible where all of these are closed.
 * @throws Error when no GPU can give it, see checkGpus.
 */
export function chooseGpus(
  request: GpuRequest,
  fleet: GpuFleet,
  claims: readonly GpuClaim[],
  isClosed: (index: number) => boolean,
): GpuChoice | null {
  if (request.gpus === 0 && request.gpu_mem_gb === undefined) return null;
  const { gpus, shardsPerGpu, gpuType } = fleet;
  const possible = eligibleGpus(gpus, request, shardsPerGpu);
  const requests = possible.flatMap((gpu) => shardRequestFor(gpu, request, shardsPerGpu) ?? []);
  const [first] = requests;
  const anyWillDo =
    possible.length === gpus.length &&
    first?.count === 1 &&
    requests.every(({ shards }) => shards === first.shards);
  // Decided first: the work is counted over all live jobs.
  if (anyWillDo) return choiceOf(first, [], gpuType);
  const work = boundWork(claims, fleet);
  const byWork = (a: Gpu, b: Gpu) => (work.get(a.index) ?? 0) - (work.get(b.index) ?? 0);
  const best = [...possible].sort(
    (a, b) => Number(isClosed(a.index)) - Number(isClosed(b.index)) || byWork(a, b),
  );
  const shards = best[0] && shardRequestFor(best[0], request, shardsPerGpu);
  if (shards === undefined) throw new Error(`no GPU can give ${JSON.stringify(request)}`);
  const chosen = best.slice(0, shards.count).map((gpu) => gpu.index);
  return choiceOf(
    shards,
    chosen.sort((a, b) => a - b),
    gpuType,
  );
}
