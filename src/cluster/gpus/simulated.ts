import { join } from 'node:path';
import type { Gpu } from './gpu.js';

/**
 * Returns the path of the stand-in for nvidia-smi, in the folder of the simulated GPUs; see
 * docker/simulated-nvidia-smi.sh.
 */
export function simulatedSmi(folder: string): string {
  return join(folder, 'nvidia-smi');
}

/** Returns the UUID by which nvidia-smi, or its stand-in, lists the GPU. */
export function smiUuid(gpu: Gpu): string {
  return gpu.uuid ?? `GPU-00000000-0000-0000-0000-${String(gpu.index).padStart(12, '0')}`;
}
