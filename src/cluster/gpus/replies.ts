import { z } from 'zod';
import { timeSchema } from '../../http/times.js';

const share = z.number().describe('Number of GPUs; a fraction is a part of one.');

const pauseReplySchema = z.strictObject({
  by: z.string(),
  reason: z.string(),
  since: timeSchema,
});

const processReplySchema = z.strictObject({
  pid: z.int(),
  name: z.string(),
  memory_mb: z.number().nullable(),
  user: z.string().nullable().describe('Null if unknown.'),
});

const closedReplySchema = z.strictObject({
  reason: z.string(),
  since: timeSchema,
  processes: z.array(processReplySchema),
});

const runningReplySchema = z.strictObject({
  job_id: z.int(),
  share,
  user: z.string().nullable().describe('Null for another user’s job.'),
  name: z.string().nullable().describe('Null for another user’s job.'),
});

const gpuStateSchema = z.enum(['free', 'in_use', 'paused', 'closed']);

/** A GPU of this machine. Memory in MiB, load in percent, temperature in degrees Celsius. */
export const gpuReplySchema = z
  .strictObject({
    index: z.int(),
    uuid: z.string().nullable().describe('Null for a simulated GPU.'),
    model: z.string(),
    memory_mb: z.number(),
    memory_used_mb: z.number().nullable(),
    load: z.number().nullable(),
    temperature: z.number().nullable(),
    state: gpuStateSchema,
    paused: pauseReplySchema.nullable(),
    closed: closedReplySchema.nullable().describe('The foreign use that closes the GPU to jobs.'),
    jobs: z.array(runningReplySchema),
    waiting: z.array(z.strictObject({ job_id: z.int(), share })),
    seen_at: timeSchema.nullable(),
  })
  .meta({ id: 'Gpu' });
export type GpuView = z.infer<typeof gpuReplySchema>;

/** A GPU of a worker. Memory in MiB. */
export const workerGpuReplySchema = z
  .strictObject({
    index: z.int(),
    model: z.string(),
    memory_mb: z.number(),
    state: gpuStateSchema,
    paused: pauseReplySchema.nullable(),
    jobs: z.array(runningReplySchema),
  })
  .meta({ id: 'WorkerGpu' });

const workerGpusReplySchema = z.strictObject({
  node: z.string(),
  gpus: z.array(workerGpuReplySchema),
});
export type WorkerGpusView = z.infer<typeof workerGpusReplySchema>;

export const gpusReplySchema = z.strictObject({
  gpus: z.array(gpuReplySchema),
  waiting_anywhere: z.int().describe('Jobs that wait for any GPU.'),
  state_file_problem: z.string().nullable(),
  workers: z.array(workerGpusReplySchema).optional().describe('GPUs of workers.'),
});
export type GpusView = z.infer<typeof gpusReplySchema>;

export const historyReplySchema = z.strictObject({
  samples: z.array(
    z.strictObject({
      at: timeSchema,
      memory_mb: z.number(),
      load: z.number().nullable(),
      temperature: z.number().nullable(),
    }),
  ),
});
