import { z } from 'zod';

/** The parts of the API's replies that the commands show. Fields this version does not know pass through to `--json`. */
const count = z.number().nullable().default(null);
const text = z.string().nullable().default(null);

export const gpuSchema = z.looseObject({
  index: z.number(),
  model: text,
  memory_mb: count,
  memory_used_mb: count,
  load: count,
  temperature: count,
  state: text,
  paused: z.looseObject({ by: text, reason: text, since: z.unknown() }).nullable().default(null),
  held: z.looseObject({ reason: text, since: z.unknown() }).nullable().default(null),
  jobs: z
    .array(z.looseObject({ job_id: z.number(), share: count, name: text }))
    .nullable()
    .default(null),
  waiting: z
    .array(z.looseObject({ job_id: z.number(), share: count }))
    .nullable()
    .default(null),
});
export const gpusReply = z.looseObject({ gpus: z.array(gpuSchema) });
export type GpuReply = z.infer<typeof gpuSchema>;

export const jobSchema = z.looseObject({
  job_id: z.number(),
  status: z.string(),
  name: text,
  priority: count,
  gpus: count,
  gpu_mem_gb: count,
  gpu_indices: z.array(z.number()).nullable().default(null),
  reason_text: text,
  failure: text,
  message: text,
  warning: text,
});
export const jobsReply = z.looseObject({ jobs: z.array(jobSchema) });
export type JobReply = z.infer<typeof jobSchema>;

export const tokenSchema = z.looseObject({
  token_id: z.number(),
  user: z.string(),
  role: z.string(),
  state: z.string(),
  token: text,
  created_at: text,
  expires_at: text,
  last_used_at: text,
});
export const tokensReply = z.looseObject({ tokens: z.array(tokenSchema) });

export const userSchema = z.looseObject({
  user: z.string(),
  unix_user: text,
  jobs: z.number(),
  running: z.number(),
  stored_bytes: z.number(),
  limits: z.looseObject({
    max_jobs: z.number(),
    max_running: z.number(),
    max_gpus: z.number(),
    max_stored_bytes: z.number(),
  }),
});
export const usersReply = z.looseObject({ users: z.array(userSchema) });

export const auditReply = z.looseObject({
  audit: z.array(
    z.looseObject({
      at: z.string(),
      user: text,
      address: z.string(),
      method: z.string(),
      path: z.string(),
      status: z.number(),
      subject: text,
      times: z.number().default(1),
    }),
  ),
});

export const screensReply = z.looseObject({
  screens: z.array(
    z.looseObject({
      job_id: z.number(),
      unix_user: z.string(),
      name: text,
      state: z.string(),
      gpus: z.array(z.number()),
    }),
  ),
});

export const nodeSchema = z.looseObject({
  name: z.string(),
  state: z.string(),
  partition: text,
  cpus: count,
  cpusAllocated: count,
  memoryMb: count,
  gres: text,
  reason: text,
  ssh: z
    .looseObject({
      host: text,
      user: text,
      gpus: z.looseObject({ count }).nullable().default(null),
      labels: z.record(z.string(), z.string()).default({}),
      leaving: z.boolean().default(false),
      problem: text,
    })
    .nullable()
    .default(null),
});
export const nodesReply = z.looseObject({ nodes: z.array(nodeSchema), hosts_file_problem: text });
export type NodeReply = z.infer<typeof nodeSchema>;

const trouble = z.looseObject({ at: z.string(), where: text, message: z.string() });
export const routeSchema = z.looseObject({
  name: z.string(),
  paused: z.looseObject({ by: z.string(), at: z.string() }).nullable(),
  last_scan: text,
  last_error: z.looseObject({ at: z.string(), message: z.string() }).nullable(),
  problems: z.array(trouble),
  problem_count: z.number(),
  found: z.number(),
  claimed: z.number(),
  running: z.number(),
  done: z.number(),
  failed: z.number(),
  lost: z.number(),
});
export const ingestReply = z.looseObject({ routes: z.array(routeSchema) });
export type RouteReply = z.infer<typeof routeSchema>;
