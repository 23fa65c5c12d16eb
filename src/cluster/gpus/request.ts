import { type AppError, fieldError } from '../../errors.js';
import type { Gpu } from './gpu.js';

/** A job's request for GPUs, before any is chosen. */
export interface GpuRequest {
  /** Whole GPUs, or a fraction of one. */
  gpus: number;
  /** GiB of one GPU's memory, instead of a fraction. */
  gpu_mem_gb?: number | undefined;
  /** Indices of the allowed GPUs; undefined for any. */
  allowed_gpus?: number[] | undefined;
}

/**
 * A request for `shards` shards of each of `count` GPUs. A whole GPU is all of its shards.
 * `gres/gpu` is not used beside `gres/shard`: Slurm considers a shared GPU free as soon as one of
 * its jobs ends (22.05, tried; reported for later ones).
 */
export interface ShardRequest {
  shards: number;
  count: number;
}

/**
 * Converts the request to shards of that GPU; undefined if the GPU is too small. Memory is rounded
 * up to whole shards, so that the jobs on one GPU fit its memory.
 */
export function shardRequestFor(
  gpu: Gpu,
  request: GpuRequest,
  shardsPerGpu: number,
): ShardRequest | undefined {
  const { gpus, gpu_mem_gb: memory } = request;
  if (memory === undefined && gpus > 1) return { shards: shardsPerGpu, count: gpus };
  const fraction = memory === undefined ? gpus : (memory * 1024) / gpu.memoryMb;
  const shards = shardsOf(fraction, shardsPerGpu);
  return shards > shardsPerGpu ? undefined : { shards, count: 1 };
}

/**
 * Converts GPUs to whole shards. Jobs and limits use the same rounding, so that a request for the
 * whole limit is not kept waiting.
 */
export function shardsOf(gpus: number, shardsPerGpu: number): number {
  // A product such as 0.07 * 100 is slightly over 7, which must not add an eighth shard.
  return Math.ceil(gpus * shardsPerGpu - 1e-9);
}

/** Returns the GPUs that can meet the request. */
export function eligibleGpus(
  gpus: readonly Gpu[],
  request: GpuRequest,
  shardsPerGpu: number,
): Gpu[] {
  const { allowed_gpus: allowed } = request;
  return gpus.filter(
    (gpu) =>
      (allowed === undefined || allowed.includes(gpu.index)) &&
      shardRequestFor(gpu, request, shardsPerGpu) !== undefined,
  );
}

/** Returns why these GPUs can never meet the request; undefined if they can. */
export function checkGpus(
  gpus: readonly Gpu[],
  request: GpuRequest,
  shardsPerGpu: number,
): AppError | undefined {
  const problem = (field: string, message: string, details = {}) =>
    fieldError('unprocessable', field, message, { details });
  const { allowed_gpus: allowed, gpu_mem_gb: memory } = request;
  const unknown = allowed?.filter((index) => !gpus.some((gpu) => gpu.index === index)) ?? [];
  const there = gpus.length === 0 ? 'none' : `0 to ${gpus.length - 1}`;
  if (unknown.length > 0)
    return problem('allowed_gpus', `unknown GPU ${unknown.join(', ')}; available: ${there}`);
  const among = allowed === undefined ? '' : ' among the allowed ones';
  if (memory !== undefined && eligibleGpus(gpus, request, shardsPerGpu).length === 0) {
    const largest = tenths(largestGb(gpus, allowed));
    return problem(
      'gpu_mem_gb',
      `${memory} requested; ${largest} GiB is the most a GPU${among} has`,
      {
        asked: memory,
        limit: largest,
      },
    );
  }
  const limit = allowed?.length ?? gpus.length;
  if (Math.ceil(request.gpus) > limit)
    return problem(
      'gpus',
      `${request.gpus} requested; ${limit}${among} is the most a job can have here`,
      { asked: request.gpus, limit },
    );
  return undefined;
}

/**
 * Returns why one request alone exceeds the user's quota and would wait forever; otherwise
 * undefined.
 * @param maxGpus GPUs that the user may have at once
 */
export function checkUserGpuQuota(
  maxGpus: number,
  gpus: readonly Gpu[],
  request: GpuRequest,
): AppError | undefined {
  const { gpu_mem_gb: memory, allowed_gpus: allowed } = request;
  const inMemory = memory !== undefined;
  const limit = inMemory ? maxGpus * largestGb(gpus, allowed) : maxGpus;
  const asked = inMemory ? memory : request.gpus;
  if (asked <= limit) return undefined;
  const [field, told] = inMemory ? ['gpu_mem_gb', `${tenths(limit)} GiB`] : ['gpus', limit];
  return fieldError(
    'unprocessable',
    field,
    `${asked} requested; ${told} is the most you may have at once`,
    { details: { asked, limit } },
  );
}

function largestGb(gpus: readonly Gpu[], allowed: number[] | undefined): number {
  const sizes = gpus
    .filter((gpu) => allowed === undefined || allowed.includes(gpu.index))
    .map((gpu) => gpu.memoryMb);
  return Math.max(0, ...sizes) / 1024;
}

function tenths(gb: number): number {
  return Math.floor(gb * 10) / 10;
}

/** The shards that a job requests of each GPU in `on`, or of any one GPU if `on` is empty. */
export interface GpuShards {
  on: readonly number[];
  shards: number;
}

/** The GPUs to request from Slurm. */
export interface GpuChoice {
  /** GPUs as `--gres` takes them, such as `shard:nvidia2:60`. */
  gres: string;
  /** The same as data; null if an external Slurm counts its own GPUs. */
  gpu_shards: GpuShards | null;
}

/**
 * Builds the choice of the GPUs in `on`. If `on` is empty, Slurm takes all shards from any one GPU;
 * several GPUs must therefore be named.
 */
export function choiceOf(
  { shards }: ShardRequest,
  on: readonly number[],
  gpuType: string,
): GpuChoice {
  const named = on.map((index) => `shard:${gpuType}${index}:${shards}`).join(',');
  return { gres: named === '' ? `shard:${shards}` : named, gpu_shards: { on, shards } };
}
