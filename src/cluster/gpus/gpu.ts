import { z } from 'zod';

/** One GPU as jobs and Slurm know it. */
export const gpuSchema = z.object({
  /** Place in the list, from 0: the number users see and the N of the GRES type `<type>N`. */
  index: z.number().int(),
  /** The device file that Slurm hands out, such as /dev/nvidia3. */
  device: z.string(),
  /** `GPU-…` as the driver names it; null for a simulated one. */
  uuid: z.string().nullable(),
  model: z.string(),
  memoryMb: z.number().int(),
});

export type Gpu = z.infer<typeof gpuSchema>;
