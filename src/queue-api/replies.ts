import { z } from 'zod';
import { timeSchema } from '../http/times.js';
import { queueStates } from './state.js';

/** A job as the queue server shows it. */
export const queueJobReplySchema = z
  .strictObject({
    job_id: z.uuid(),
    node_id: z.int().nullable().describe('Null while nobody can know.'),
    status: z.enum(queueStates),
    queue_position: z.int().nullable().describe('How many jobs start before it, if that is known.'),
    user_id: z.string(),
    competition_id: z.string(),
    project_id: z.string(),
    expected_time: z.number(),
    timeout: z.number().nullable().describe('Seconds after which it is killed.'),
    created_at: timeSchema,
    started_at: timeSchema.nullable(),
    completed_at: timeSchema.nullable(),
    exit_code: z.int().nullable().describe('128 and the signal for a job that one ended.'),
    failure: z.string().nullable().describe('Why it did not complete, in a word.'),
    message: z.string().nullable().describe('Why it did not complete, in a sentence.'),
    jobrunner_job_id: z.int().describe('Its number for `GET /jobs/{id}`.'),
  })
  .meta({ id: 'QueueJob' });
export type QueueJobView = z.infer<typeof queueJobReplySchema>;

export const queueResultReplySchema = z.strictObject({
  ...queueJobReplySchema.shape,
  stdout: z.string(),
  stderr: z.string(),
  stdout_truncated: z.boolean().describe('Whether its beginning was left out.'),
  stderr_truncated: z.boolean(),
});

export const queueJobsReplySchema = z.strictObject({ jobs: z.array(queueJobReplySchema) });

const queueNodeReplySchema = z.strictObject({
  node_id: z.int(),
  name: z.string(),
  partition: z.string().nullable(),
  status: z.string().describe('Slurm’s word, such as `idle`, `mixed` or `drained`.'),
  reason: z.string().nullable().describe('Why it takes no jobs.'),
  running_jobs: z.int(),
  queued_jobs: z.int().describe('Jobs that wait for this node or another of its partition.'),
  expected_queue_seconds: z
    .number()
    .describe('Left to running jobs, and its part of waiting ones that say how long they take.'),
});
export type QueueNode = z.infer<typeof queueNodeReplySchema>;

export const queueNodesReplySchema = z.strictObject({ nodes: z.array(queueNodeReplySchema) });

export const serviceInfoReplySchema = z.strictObject({
  service: z.string(),
  description: z.string(),
  status: z.string(),
  endpoints: z.record(z.string(), z.string()),
});
