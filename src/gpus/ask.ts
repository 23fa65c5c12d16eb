import { AppError } from '../errors.js';
import type { Gpu } from './gpu.js';

/** What a job wants of the GPUs, before one of them is chosen. */
export interface GpuWish {
  /** Whole GPUs, or a fraction of one. */
  gpus: number;
  /** GiB of one GPU's memory, instead of a fraction. */
  gpu_mem_gb?: number | undefined;
  /** Undefined: any. */
  allowed_gpus?: number[] | undefined;
}

/** Shards of one GPU, or whole GPUs. */
export type GpuAsk = { kind: 'shards'; shards: number } | { kind: 'whole'; count: number };

/**
 * What the wish comes to on that GPU. Memory is rounded up to whole shards, so that the jobs on one GPU fit its memory.
 * Undefined when that GPU is too small for it.
 */
export function askOn(gpu: Gpu, wish: GpuWish, shardsPerGpu: number): GpuAsk | undefined {
  const fraction =
    wish.gpu_mem_gb === undefined ? wish.gpus : (wish.gpu_mem_gb * 1024) / gpu.memoryMb;
  if (wish.gpu_mem_gb === undefined && fraction >= 1) return { kind: 'whole', count: fraction };
  // A product such as 0.29 * 100 is a little over 29; that is no reason for a thirtieth shard.
  const shards = Math.ceil(fraction * shardsPerGpu - 1e-9);
  if (shards > shardsPerGpu) return undefined;
  return shards === shardsPerGpu ? { kind: 'whole', count: 1 } : { kind: 'shards', shards };
}

/** GPUs on which the wish can be met. */
export function candidates(gpus: readonly Gpu[], wish: GpuWish, shardsPerGpu: number): Gpu[] {
  const { allowed_gpus: allowed } = wish;
  return gpus.filter(
    (gpu) =>
      (allowed === undefined || allowed.includes(gpu.index)) &&
      askOn(gpu, wish, shardsPerGpu) !== undefined,
  );
}

/**
 * @throws AppError unprocessable for what these GPUs can never give: more than there are, more memory than any has, a GPU
 *   that is not there.
 */
export function refuseImpossibleGpus(
  gpus: readonly Gpu[],
  wish: GpuWish,
  shardsPerGpu: number,
): void {
  const refuse = (field: string, message: string): never => {
    throw new AppError('unprocessable', `${field}: ${message}`, { details: { field } });
  };
  const allowed = wish.allowed_gpus;
  const strangers = allowed?.filter((index) => !gpus.some((gpu) => gpu.index === index)) ?? [];
  if (strangers.length > 0)
    refuse('allowed_gpus', `there is no GPU ${strangers.join(', ')} here; there are ${count()}`);
  const among = allowed === undefined ? '' : ' among the allowed ones';
  if (wish.gpu_mem_gb !== undefined && candidates(gpus, wish, shardsPerGpu).length === 0)
    refuse(
      'gpu_mem_gb',
      `${wish.gpu_mem_gb} asked for, ${most()} GiB is the most a GPU${among} has`,
    );
  const there = allowed?.length ?? gpus.length;
  if (Math.ceil(wish.gpus) > there)
    refuse('gpus', `${wish.gpus} asked for, ${there}${among} is the most a job can have here`);

  function count(): string {
    return gpus.length === 0 ? 'none' : `0 to ${gpus.length - 1}`;
  }
  function most(): number {
    const sizes = gpus
      .filter((gpu) => allowed === undefined || allowed.includes(gpu.index))
      .map((gpu) => gpu.memoryMb);
    return Math.floor((Math.max(0, ...sizes) / 1024) * 10) / 10;
  }
}

/** As `--gres` takes it; `on` are the GPUs it is to be, or undefined for any. */
export function gresOf(ask: GpuAsk, on: readonly number[] | undefined, gpuType: string): string {
  if (on === undefined) return ask.kind === 'shards' ? `shard:${ask.shards}` : `gpu:${ask.count}`;
  return on
    .map((index) =>
      ask.kind === 'shards' ? `shard:${gpuType}${index}:${ask.shards}` : `gpu:${gpuType}${index}:1`,
    )
    .join(',');
}

/** What {@link gresOf} wrote: the GPUs it names (none: any), and how much of each. */
export function readGres(gres: string): { on: number[]; ask: GpuAsk } {
  const parts = gres.split(',').map((part) => part.split(':'));
  const on = parts
    .filter((part) => part.length === 3)
    .map(([, type]) => Number(/\d+$/.exec(type ?? '')?.[0]));
  const amount = Number(parts[0]?.at(-1));
  return {
    on,
    ask:
      parts[0]?.[0] === 'shard'
        ? { kind: 'shards', shards: amount }
        : { kind: 'whole', count: on.length === 0 ? amount : on.length },
  };
}
