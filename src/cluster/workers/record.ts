import { z } from 'zod';

/** Number of workers that can have joined, and so of their names in Slurm. */
export const maxWorkers = 64;
export const workerName = (number: number) => `worker${number}`;

const gpuFacts = z.strictObject({
  model: z.string().max(200),
  memory_mb: z.number().int().min(1).max(1e9),
});

/** A worker's request to join, with the facts about it. */
export const joinRequestSchema = z.strictObject({
  secret: z.string().max(200),
  /** Random ID that the worker keeps, so that it gets the same name after a restart. */
  worker_id: z.string().regex(/^[0-9a-f]{32}$/),
  root: z.string().max(200),
  app_root: z.string().max(1000),
  /** Slurm's version as `slurmd -V` prints it. */
  slurm: z.string().max(200),
  /**
   * IDs of the users that Slurm knows by number; for users of jobs, a digest, see
   * machines/daemons/unix-users.ts.
   */
  ids: z.strictObject({ jobs: z.string(), slurm: z.string() }),
  /** Worker's time in milliseconds since 1970. */
  now: z.number(),
  cpus: z.number().int().min(1).max(4096),
  memory_mb: z
    .number()
    .int()
    .min(128)
    .max(64 * 1024 * 1024),
  gpus: z.array(gpuFacts).max(64),
  /**
   * SHA-256, in hex, of a munge key that the worker already has; without it, the controller sends
   * the key.
   */
  munge_key_sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
});
export type JoinRequest = z.infer<typeof joinRequestSchema>;

/** The controller's reply to a worker that joins. */
export const joinReplySchema = z.object({
  name: z.string().regex(/^worker[1-9]\d?$/),
  worker_token: z.string().min(20),
  /** Munge key; null for a worker that already has it. */
  munge_key: z.base64().nullable(),
  gpu_type: z.string().regex(/^[a-z][a-z0-9_]{0,30}$/),
  shards_per_gpu: z.number().int().min(1),
  timeout_seconds: z.number().int().min(1),
});
export type JoinReply = z.infer<typeof joinReplySchema>;

/**
 * A worker as root keeps it for the API, in `workers/workers.json`, and for the join port, in
 * `join/workers.json`.
 */
const workerRecordSchema = z.strictObject({
  name: z.string(),
  worker_id: z.string(),
  /** SHA-256 of the worker's token, in hex; the token has 192 random bits. */
  token_hash: z.string(),
  cpus: z.number(),
  memory_mb: z.number(),
  gpus: z.array(gpuFacts),
  joined_at: z.number(),
  /** Whether the worker has left; its name stays reserved. */
  left: z.boolean(),
});
export type WorkerRecord = z.infer<typeof workerRecordSchema>;

export const workersRecordSchema = z.strictObject({ workers: z.array(workerRecordSchema) });

/** The facts about a job that its worker receives. */
export const workerJobSchema = z.object({
  job_id: z.number(),
  slurm_job_id: z.number().nullable(),
  /** Whether that worker is still to run or deliver the job. */
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
  /** Received bytes of each log. */
  log: z.object({ stdout: z.number(), stderr: z.number() }),
  /** Received bytes of the outputs' archive. */
  outputs: z.number(),
});
export type WorkerJob = z.infer<typeof workerJobSchema>;
