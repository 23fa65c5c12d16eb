import type { Gpu } from '../gpus/gpu.js';
import type { ResolvedHost } from './resolved-hosts.js';

/** Converts a host's memory to whole MiB, in which Slurm counts. */
export function memoryMbOf(host: Pick<ResolvedHost, 'memory_gb'>): number {
  return Math.max(1, Math.floor(host.memory_gb * 1024));
}

/** Returns the MiB of each of the host's GPUs. */
export function gpuMemoryMbOf(host: Pick<ResolvedHost, 'gpus'>): number {
  return Math.max(1, Math.floor(host.gpus.memory_gb * 1024));
}

/** Names the feature that tells Slurm the size of a host's GPUs, such as `gpumem81920`. */
export function gpuMemoryFeature(host: Pick<ResolvedHost, 'gpus'>): string {
  return gpuMemoryFeatureOf(gpuMemoryMbOf(host));
}

/** Names the same feature for a node whose smallest GPU has `memoryMb` MiB. */
export function gpuMemoryFeatureOf(memoryMb: number): string {
  return `gpumem${memoryMb}`;
}

/**
 * Returns the host's GPUs as jobs see them. CUDA uses the index there; the device files are not of
 * this machine.
 */
export function gpusOfHost(host: Pick<ResolvedHost, 'gpus'>): Gpu[] {
  return Array.from({ length: host.gpus.count }, (_, index) => ({
    index,
    device: `/dev/nvidia${index}`,
    uuid: null,
    model: host.gpus.type,
    memoryMb: gpuMemoryMbOf(host),
  }));
}
