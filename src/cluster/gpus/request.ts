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

/**
 * @throws AppError unprocessable for what these GPUs can never give: more than there are, more memory than any has, a GPU
 *   that is not there.
 */
export function checkGpus(gpus: readonly Gpu[], request: GpuRequest, shardsPerGpu: number): void {
  const refuse = (field: string, message: string, details = {}): never => {
    throw new AppError('unprocessable', `${field}: ${message}`, { details: { field, ...details } });
  };
  const allowed = request.allowed_gpus;
  const strangers = allowed?.filter((index) => !gpus.some((gpu) => gpu.index === index)) ?? [];
  if (strangers.length > 0)
    refuse('allowed_gpus', `there is no GPU ${strangers.join(', ')} here; there are ${count()}`);
  const among = allowed === undefined ? '' : ' among the allowed ones';
  if (request.gpu_mem_gb !== undefined && eligibleGpus(gpus, request, shardsPerGpu).length === 0)
    refuse(
      'gpu_mem_gb',
      `${request.gpu_mem_gb} asked for, ${tenths(largestGb(gpus, allowed))} GiB is the most a GPU${among} has`,
    );
  const there = allowed?.length ?? gpus.length;
  if (Math.ceil(request.gpus) > there)
    refuse('gpus', `${request.gpus} asked for, ${there}${among} is the most a job can have here`, {
      asked: request.gpus,
      limit: there,
    });

  function count(): string {
    return gpus.length === 0 ? 'none' : `0 to ${gpus.length - 1}`;
  }
}

/**
 * @param most GPUs that the user may have at once
 * @throws AppError unprocessable for a request that is over it alone, and would wait for ever.
 */
export function checkUserGpuQuota(most: number, gpus: readonly Gpu[], request: GpuRequest): void {
  const { gpu_mem_gb: memory, allowed_gpus: allowed } = request;
  const inMemory = memory !== undefined;
  const limit = inMemory ? most * largestGb(gpus, allowed) : most;
  const asked = inMemory ? memory : request.gpus;
  if (asked <= limit) return;
  const [field, told] = inMemory ? ['gpu_mem_gb', `${tenths(limit)} GiB`] : ['gpus', limit];
  throw new AppError(
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

/**
 * As `--gres` takes it; `on` are the GPUs it is to be. Any one GPU may be left to Slurm, which takes all shards of a job from
 * one; several may not.
 */
export function gresOf(
  ask: ShardRequest,
  on: readonly number[] | undefined,
  gpuType: string,
): string {
  if (on === undefined) return `shard:${ask.shards}`;
  return on.map((index) => `shard:${gpuType}${index}:${ask.shards}`).join(',');
}

/** What {@link gresOf} wrote: the GPUs it names (none: any one), and the shards of each. */
export function readGres(gres: string): { on: number[]; shards: number } {
  const parts = gres.split(',').map((part) => part.split(':'));
  const on = parts
    .filter((part) => part.length === 3)
    .map(([, type]) => Number(/\d+$/.exec(type ?? '')?.[0]));
  return { on, shards: Number(parts[0]?.at(-1)) };
}
