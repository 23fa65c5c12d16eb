import type { Gpu } from './gpu.js';
import {
  choiceOf,
  eligibleGpus,
  shardRequestFor,
  type GpuChoice,
  type GpuRequest,
  type GpuShards,
} from './request.js';

/** The GPUs, and the shares of them, that a job has or waits for. */
export interface GpuClaim {
  /** Shards that the job requests; null for a job without our GPUs. */
  gpu_shards: GpuShards | null;
  /** Indices of the job's GPUs; null until it starts. */
  gpu_indices: number[] | null;
}

/** The facts about a live job that are needed to show GPUs and waiting jobs. */
export interface GpuJob extends GpuClaim {
  job_id: number;
  /** The job's user. */
  user: string;
  /** Slurm's state, or SUBMITTING. */
  state: string;
  started_at: number | null;
  warning: string | null;
  request: GpuRequest & { name: string };
}

export interface GpuFleet {
  gpus: readonly Gpu[];
  shardsPerGpu: number;
  /** GRES type of GPU N, without the N. */
  gpuType: string;
}

/** Sums up the work, running and waiting, that is bound to each GPU, in GPUs. */
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
 * Chooses the GPUs to request from Slurm. If any GPU will do, Slurm chooses. Otherwise takes the
 * GPUs with the least work: among the open ones, or among all possible ones if all are closed.
 * @throws Error if no GPU can meet the request; see checkGpus
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
  // Returns before the count of work, which goes over all live jobs.
  if (anyWillDo) return choiceOf(first, [], gpuType);
  const work = boundWork(claims, fleet);
  const byWork = (a: Gpu, b: Gpu) => (work.get(a.index) ?? 0) - (work.get(b.index) ?? 0);
  const best = [...possible].sort(
    (a, b) => Number(isClosed(a.index)) - Number(isClosed(b.index)) || byWork(a, b),
  );
  const shards = best[0] && shardRequestFor(best[0], request, shardsPerGpu);
  if (shards === undefined) throw new Error(`no GPU can meet ${JSON.stringify(request)}`);
  const chosen = best.slice(0, shards.count).map((gpu) => gpu.index);
  return choiceOf(
    shards,
    chosen.sort((a, b) => a - b),
    gpuType,
  );
}
