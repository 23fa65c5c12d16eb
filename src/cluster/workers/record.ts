import { z } from 'zod';

/** The names that workers get in Slurm, and how many there can be. */
export const maxWorkers = 64;
export const workerName = (number: number) => `worker${number}`;

const gpuFacts = z.strictObject({
  model: z.string().max(200),
  memory_mb: z.number().int().min(1).max(1e9),
});

/** What a worker says of itself when it joins. */
export const joinRequestSchema = z.strictObject({
  secret: z.string().max(200),
  /** Random, kept by the worker: by it the worker has its name back after a restart. */
  worker_id: z.string().regex(/^[0-9a-f]{32}$/),
  root: z.string().max(200),
  app_root: z.string().max(1000),
  /** As `slurmd -V` says. */
  slurm: z.string().max(200),
  /** The ids of the users that Slurm knows by number; those that jobs run as in a digest, see stack/accounts.ts. */
  ids: z.strictObject({ jobs: z.string(), slurm: z.string() }),
  /** Milliseconds since 1970. */
  now: z.number(),
  cpus: z.number().int().min(1).max(4096),
  memory_mb: z
    .number()
    .int()
    .min(128)
    .max(64 * 1024 * 1024),
  gpus: z.array(gpuFacts).max(64),
  /** SHA-256, in hex, of the munge key that the worker has already; without it, the key is handed over. */
  munge_key_sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
});
export type JoinRequest = z.infer<typeof joinRequestSchema>;

/** What the controller hands to a worker. */
export const joinReplySchema = z.object({
  name: z.string().regex(/^worker[1-9]\d?$/),
  worker_token: z.string().min(20),
  /** Null for a worker that has it already. */
  munge_key: z.base64().nullable(),
  slurmctld_port: z.number(),
  slurmd_port: z.number(),
  gpu_type: z.string().regex(/^[a-z][a-z0-9_]{0,30}$/),
  shards_per_gpu: z.number().int().min(1),
  timeout_seconds: z.number().int().min(1),
});
export type JoinReply = z.infer<typeof joinReplySchema>;

/** A worker as root keeps it for the API, in `workers/workers.json`. */
const workerRecordSchema = z.strictObject({
  name: z.string(),
  worker_id: z.string(),
  /** SHA-256 of its token, in hex; the token has 192 random bits. */
  token_hash: z.string(),
  cpus: z.number(),
  memory_mb: z.number(),
  gpus: z.array(gpuFacts),
  joined_at: z.number(),
  /** Whether it has said good-bye; its name stays its own. */
  left: z.boolean(),
});
export type WorkerRecord = z.infer<typeof workerRecordSchema>;

export const workersRecordSchema = z.strictObject({ workers: z.array(workerRecordSchema) });

/** What a worker is told of a job that starts there. */
export const workerJobSchema = z.object({
  job_id: z.number(),
  slurm_job_id: z.number().nullable(),
  /** Whether it is still that worker's to run or to deliver. */
  yours: z.boolean(),
  ended: z.boolean(),
  script_name: z.string().nullable(),
  dataset: z
    .object({
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      name: z.string(),
      size: z.number(),
    })
    .nullable(),
  /** Bytes of each log that have arrived. */
  log: z.object({ stdout: z.number(), stderr: z.number() }),
  /** Bytes of the outputs' archive that have arrived. */
  outputs: z.number(),
});
export type WorkerJob = z.infer<typeof workerJobSchema>;
