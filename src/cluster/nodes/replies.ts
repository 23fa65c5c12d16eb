import { z } from 'zod';
import { timeSchema } from '../../http/times.js';

/** Last status of an SSH host. */
const sshReplySchema = z.strictObject({
  host: z.string().optional().describe('Only for admins, as are the next three.'),
  port: z.int().optional(),
  user: z.string().optional(),
  proxy_jump: z.array(z.string()).optional(),
  gpus: z.strictObject({ count: z.int(), type: z.string(), memory_gb: z.number() }),
  labels: z.record(z.string(), z.string()),
  leaving: z.boolean().describe('Whether it takes no new job.'),
  reachable: z.boolean().nullable().describe('Null until the first check.'),
  problem: z.string().nullable().describe('Only for admins.'),
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
    cpus_allocated: z.int(),
    memory_mb: z.number(),
    memory_allocated_mb: z.number(),
    gres: z.string().nullable().describe('In Slurm’s format; null for no GPU.'),
    gres_used: z.string().nullable(),
    reason: z.string().nullable().describe('Reason why the node is drained or down.'),
    ssh: sshReplySchema.nullable().describe('For a node that stands for an SSH host.'),
  })
  .meta({ id: 'Node' });
export type NodeView = z.infer<typeof nodeReplySchema>;

export const nodesReplySchema = z.strictObject({
  nodes: z.array(nodeReplySchema),
  hosts_file_problem: z.string().nullable().describe('Only for admins.'),
});

/** A partition of our own cluster. */
export const partitionsReplySchema = z.strictObject({
  partitions: z.array(z.strictObject({ name: z.string(), nodes: z.array(z.string()) })),
});
