import { z } from 'zod';
import { timeSchema } from '../../http/times.js';

/** How an SSH host was last found. */
const sshReplySchema = z.strictObject({
  host: z.string().optional().describe('For admins alone, as the next three.'),
  port: z.int().optional(),
  user: z.string().optional(),
  proxy_jump: z.array(z.string()).optional(),
  gpus: z.strictObject({ count: z.int(), type: z.string(), memory_gb: z.number() }),
  labels: z.record(z.string(), z.string()),
  leaving: z.boolean().describe('Whether it takes no new job.'),
  reachable: z.boolean().nullable().describe('Null until it was looked at.'),
  problem: z.string().nullable().describe('For admins alone.'),
  since: timeSchema.nullable(),
  checked_at: timeSchema.nullable(),
  disk_free_bytes: z.number().nullable(),
  clock_skew_seconds: z.number().nullable(),
});

/** A node as Slurm has it. */
export const nodeReplySchema = z
  .strictObject({
    name: z.string(),
    state: z.string().describe('Slurm’s word in lower case, such as `idle` or `drained`.'),
    partition: z.string(),
    cpus: z.int(),
    cpusAllocated: z.int(),
    memoryMb: z.number(),
    memoryAllocatedMb: z.number(),
    gres: z.string().nullable().describe('As Slurm writes it; null for no GPU.'),
    gresUsed: z.string().nullable(),
    reason: z.string().nullable().describe('Why it is drained or down.'),
    ssh: sshReplySchema.nullable().describe('For a node that stands for an SSH host.'),
  })
  .meta({ id: 'Node' });
export type NodeView = z.infer<typeof nodeReplySchema>;

export const nodesReplySchema = z.strictObject({
  nodes: z.array(nodeReplySchema),
  hosts_file_problem: z.string().nullable().describe('For admins alone.'),
});

/** A partition of our own cluster. */
export const partitionsReplySchema = z.strictObject({
  partitions: z.array(z.strictObject({ name: z.string(), nodes: z.array(z.string()) })),
});
