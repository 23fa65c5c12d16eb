import { z } from 'zod';

/** One GPU as jobs and Slurm know it. */
export const gpuSchema = z.object({
  /**
   * Position in the list, from 0: the number that users see and the N of the GRES type `<type>N`.
   */
  index: z.number().int(),
  /** Device file that Slurm hands out, such as /dev/nvidia3. */
  device: z.string(),
  /** Driver's name, `GPU-…`; null for a simulated GPU. */
  uuid: z.string().nullable(),
  model: z.string(),
  memoryMb: z.number().int(),
});

export type Gpu = z.infer<typeof gpuSchema>;
