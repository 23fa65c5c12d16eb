import type { Gpu } from '../gpus/gpu.js';
import type { ResolvedHost } from './resolved-hosts.js';

/** Slurm counts whole MiB. */
export function memoryMbOf(host: Pick<ResolvedHost, 'memory_gb'>): number {
  return Math.max(1, Math.floor(host.memory_gb * 1024));
}

/** MiB of each of the host's GPUs. */
export function gpuMemoryMbOf(host: Pick<ResolvedHost, 'gpus'>): number {
  return Math.max(1, Math.floor(host.gpus.memory_gb * 1024));
}

/** What Slurm knows of the size of a host's GPUs: a feature of its node, such as `gpumem81920`. */
export function gpuMemoryFeature(host: Pick<ResolvedHost, 'gpus'>): string {
  return gpuMemoryFeatureOf(gpuMemoryMbOf(host));
}

/** The same, of a node whose smallest GPU has so many MiB. */
export function gpuMemoryFeatureOf(memoryMb: number): string {
  return `gpumem${memoryMb}`;
}

/** Its GPUs as jobs are told of them. There CUDA knows an index; no device file of this machine is theirs. */
export function gpusOfHost(host: Pick<ResolvedHost, 'gpus'>): Gpu[] {
  return Array.from({ length: host.gpus.count }, (_, index) => ({
    index,
    device: `/dev/nvidia${index}`,
    uuid: null,
    model: host.gpus.type,
    memoryMb: gpuMemoryMbOf(host),
  }));
}
