import { join } from 'node:path';
import type { Gpu } from './gpu.js';

/** What stands in for nvidia-smi, in the folder of the simulated GPUs; see docker/simulated-nvidia-smi.sh. */
export function simulatedSmi(folder: string): string {
  return join(folder, 'nvidia-smi');
}

/** The name by which nvidia-smi, or what stands in for it, lists the GPU. */
export function smiUuid(gpu: Gpu): string {
  return gpu.uuid ?? `GPU-00000000-0000-0000-0000-${String(gpu.index).padStart(12, '0')}`;
}
