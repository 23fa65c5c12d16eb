import { AppError } from '../../errors.js';
import type { Gpu } from './gpu.js';

/** What a job wants of the GPUs, before one of them is chosen. */
export interface GpuRequest {
  /** Whole GPUs, or a fraction of one. */
  gpus: number;
  /** GiB of one GPU's memory, instead of a fraction. */
  gpu_mem_gb?: number | undefined;
  /** Undefined: any. */
  allowed_gpus?: number[] | undefined;
}

/**
 * So many shards of each of `count` GPUs. A whole GPU is all of its shards: `gres/gpu` is not used beside `gres/shard`, since
 * Slurm takes a GPU for free as soon as one of the jobs that share it has ended (22.05, tried; reported for later ones).
 */
export interface ShardRequest {
  shards: number;
  count: number;
}

/**
 * What the request comes to on that GPU. Memory is rounded up to whole shards, so that the jobs on one GPU fit its memory.
 * Undefined when that GPU is too small for it.
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

/** Whole shards for so many GPUs: of a job as of a limit, so that who asks for as much as they may is not kept waiting. */
export function shardsOf(gpus: number, shardsPerGpu: number): number {
  // A product such as 0.07 * 100 is a little over 7; that is no reason for an eighth shard.
  return Math.ceil(gpus * shardsPerGpu - 1e-9);
}

/** GPUs on which the request can be met. */
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

/** Returns why these GPUs can never give what the request asks for; undefined when they can. */
export function checkGpus(
  gpus: readonly Gpu[],
  request: GpuRequest,
  shardsPerGpu: number,
): AppError | undefined {
  const problem = (field: string, message: string, details = {}) =>
    new AppError('unprocessable', `${field}: ${message}`, { details: { field, ...details } });
  const { allowed_gpus: allowed, gpu_mem_gb: memory } = request;
  const unknown = allowed?.filter((index) => !gpus.some((gpu) => gpu.index === index)) ?? [];
  const there = gpus.length === 0 ? 'none' : `0 to ${gpus.length - 1}`;
  if (unknown.length > 0)
    return problem(
      'allowed_gpus',
      `there is no GPU ${unknown.join(', ')} here; there are ${there}`,
    );
  const among = allowed === undefined ? '' : ' among the allowed ones';
  if (memory !== undefined && eligibleGpus(gpus, request, shardsPerGpu).length === 0)
    return problem(
      'gpu_mem_gb',
      `${memory} asked for, ${tenths(largestGb(gpus, allowed))} GiB is the most a GPU${among} has`,
    );
  const limit = allowed?.length ?? gpus.length;
  if (Math.ceil(request.gpus) > limit)
    return problem(
      'gpus',
      `${request.gpus} asked for, ${limit}${among} is the most a job can have here`,
      { asked: request.gpus, limit },
    );
  return undefined;
}

/**
 * Returns why one request exceeds the user's quota by itself, and would wait for ever; else undefined.
 * @param maxGpus that the user may have at once
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
  return new AppError(
    'unprocessable',
    `${field}: ${asked} asked for, ${told} is the most you may have at once`,
    { details: { field, asked, limit } },
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

/** The shards that a job asks for: so many of each GPU that it names, or of any one if it names none. */
export interface GpuShards {
  on: readonly number[];
  shards: number;
}

/** The GPUs that Slurm is asked for. */
export interface GpuChoice {
  /** As `--gres` takes it, such as `shard:nvidia2:60`. */
  gres: string;
  /** The same as data; null where an external Slurm counts its own GPUs. */
  gpu_shards: GpuShards | null;
}

/**
 * Makes the choice of those GPUs; of none by name, Slurm takes any one. Slurm takes all shards of such a
 * job from one GPU, so several GPUs must be named.
 */
export function choiceOf(
  { shards }: ShardRequest,
  on: readonly number[],
  gpuType: string,
): GpuChoice {
  const named = on.map((index) => `shard:${gpuType}${index}:${shards}`).join(',');
  return { gres: named === '' ? `shard:${shards}` : named, gpu_shards: { on, shards } };
}
