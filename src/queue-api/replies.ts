import { z } from 'zod';
import { timeSchema } from '../http/times.js';
import { queueStates } from './state.js';

/** A job in the queue server’s form. */
export const queueJobReplySchema = z
  .strictObject({
    job_id: z.uuid(),
    node_id: z.int().nullable().describe('Null while it is unknown.'),
    status: z.enum(queueStates),
    queue_position: z.int().nullable().describe('Number of jobs that start before it, if known.'),
    user_id: z.string(),
    competition_id: z.string(),
    project_id: z.string(),
    expected_time: z.number(),
    timeout: z.number().nullable().describe('Seconds after which the job is killed.'),
    created_at: timeSchema,
    started_at: timeSchema.nullable(),
    completed_at: timeSchema.nullable(),
    exit_code: z.int().nullable().describe('128 plus the signal if a signal ended the job.'),
    failure: z.string().nullable().describe('Reason why it did not complete, as a word.'),
    message: z.string().nullable().describe('Reason why it did not complete, as a sentence.'),
    jobrunner_job_id: z.int().describe('The job’s id for `GET /jobs/{id}`.'),
  })
  .meta({ id: 'QueueJob' });
export type QueueJobView = z.infer<typeof queueJobReplySchema>;

export const queueResultReplySchema = z.strictObject({
  ...queueJobReplySchema.shape,
  stdout: z.string(),
  stderr: z.string(),
  stdout_truncated: z.boolean().describe('Whether the beginning was left out.'),
  stderr_truncated: z.boolean(),
});

export const queueJobsReplySchema = z.strictObject({ jobs: z.array(queueJobReplySchema) });

const queueNodeReplySchema = z.strictObject({
  node_id: z.int(),
  name: z.string(),
  partition: z.string().nullable(),
  status: z.string().describe('Slurm’s word, such as `idle`, `mixed` or `drained`.'),
  reason: z.string().nullable().describe('Reason why it takes no jobs.'),
  running_jobs: z.int(),
  queued_jobs: z.int().describe('Jobs that wait for this node or another of its partition.'),
  expected_queue_seconds: z
    .number()
    .describe(
      'Remaining time of running jobs, plus the node’s part of the expected time of waiting ones.',
    ),
});
export type QueueNode = z.infer<typeof queueNodeReplySchema>;

export const queueNodesReplySchema = z.strictObject({ nodes: z.array(queueNodeReplySchema) });

export const serviceInfoReplySchema = z.strictObject({
  service: z.string(),
  description: z.string(),
  status: z.string(),
  endpoints: z.record(z.string(), z.string()),
});
