import { z } from 'zod';

const timeLimit = z.string().nullable().describe('Slurm’s format, or UNLIMITED.');

/** Partitions of an external cluster, with the limits of each for one job. */
export const externalPartitionsReplySchema = z.strictObject({
  partitions: z.array(
    z.strictObject({
      name: z.string(),
      default: z.boolean().nullable().describe('Null where Slurm does not say.'),
      state: z.string(),
      max_time: timeLimit,
      default_time: timeLimit,
      max_cpus: z.int().nullable(),
      max_memory_mb: z.number().nullable(),
      nodes: z.array(z.string()),
    }),
  ),
});

const nodeGpusReplySchema = z.strictObject({
  node: z.string(),
  state: z.string(),
  partitions: z.array(z.string()),
  types: z.array(
    z.strictObject({
      type: z.string().nullable().describe('Null where Slurm names none.'),
      count: z.int(),
      used: z.int(),
    }),
  ),
  shards: z.strictObject({ count: z.int(), used: z.int().nullable() }).nullable(),
});

/** GPUs of an external cluster, by node. */
export const externalGpusReplySchema = z.strictObject({
  gpus: z.array(z.never()).describe('Always empty: this machine has none of them.'),
  nodes: z.array(nodeGpusReplySchema),
});
