import { z } from 'zod';

/** The reply of `GET /health`, which anybody may read. */
export const healthReplySchema = z
  .strictObject({
    status: z
      .enum(['ok', 'degraded', 'down'])
      .describe('`degraded`: jobs run, but not all of the service works. `down`: jobs cannot run.'),
    version: z.string().describe('JobRunner’s version.'),
    slurmctld: z.enum(['up', 'down']),
    slurmdbd: z.enum(['up', 'down', 'none']).describe('`none`: Slurm keeps no history of jobs.'),
    node: z.string().describe('Slurm’s word for the node; `unknown` if slurmctld does not say.'),
    not_answering: z
      .array(z.string())
      .describe('Nodes of this machine whose slurmd does not answer; jobs wait for it.'),
    drained_nodes: z
      .array(z.string())
      .describe('Nodes on which no job starts; `GET /nodes` has the reasons.'),
    cpus: z
      .enum(['ok', 'overcommitted'])
      .describe('`overcommitted`: JR_NUM_CPUS is more than this machine has; jobs get slower.'),
    disk: z.enum(['ok', 'full', 'unknown']),
    database: z.enum(['ok', 'failed']),
  })
  .meta({ id: 'Health' });
export type Health = z.infer<typeof healthReplySchema>;
