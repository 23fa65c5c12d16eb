import { z } from 'zod';
import { maskEnv } from './job-env.js';
import { failures, jobStates, type Job } from './job.js';
import { explainReason, waitsForRoom } from './pending-reason.js';
import { jobRequestSchema, submitSchema, type JobRequest } from './request.js';

const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

/** A request as the API shows it: every field, with null for those left out. */
type RequestView = {
  [K in keyof JobRequest]-?: undefined extends JobRequest[K]
    ? Exclude<JobRequest[K], undefined> | null
    : JobRequest[K];
};

const requestNames = Object.keys(jobRequestSchema.shape) as (keyof JobRequest)[];

/** Returns the schema of the stored value, without parsing, transformation and default. */
function valueSchema(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault)
    return valueSchema(schema.unwrap());
  if (!(schema instanceof z.ZodPipe)) return schema;
  return valueSchema(schema.in instanceof z.ZodTransform ? schema.out : schema.in);
}

function replySchemaOf(name: keyof JobRequest): z.ZodType {
  const field = jobRequestSchema.shape[name];
  const value = valueSchema(field);
  const reply = field instanceof z.ZodOptional ? z.nullable(value) : (value as z.ZodType);
  const { description } = name === 'script_name' ? field : submitSchema.shape[name];
  return description === undefined ? reply : reply.describe(description);
}

const requestReplyShape = Object.fromEntries(
  requestNames.map((name) => [name, replySchemaOf(name)]),
) as { [K in keyof RequestView]: z.ZodType<RequestView[K]> };

/** The request of a job, as `POST /jobs` with `dry_run` shows it. */
export const requestReplySchema = z.strictObject(requestReplyShape);

const time = z.iso.datetime().nullable();

/** A job, as the API shows it. */
export const jobReplySchema = z
  .strictObject({
    job_id: z.number().int(),
    slurm_job_id: z.number().int().nullable(),
    user: z.string(),
    status: z.enum(jobStates),
    ...requestReplyShape,
    experiment_id: z.string(),
    priority: z.number().describe('Jobs with lower numbers start first'),
    gres: z.string().nullable().describe('The GPUs requested of Slurm, such as `shard:nvidia2:60`'),
    gpu_indices: z.array(z.number().int()).nullable().describe('The GPUs of the job'),
    reason: z.string().nullable().describe('Slurm’s reason why the job waits'),
    reason_text: z.string().nullable().describe('The same in a sentence'),
    exit_code: z.number().int().nullable(),
    signal: z.number().int().nullable(),
    failure: z.enum(failures).nullable().describe('Why the job did not complete'),
    message: z.string().nullable().describe('The same in a sentence'),
    warning: z.string().nullable().describe('A problem noticed while the job runs'),
    node: z.string().nullable(),
    submitted_at: time.unwrap(),
    started_at: time,
    ended_at: time,
  })
  .meta({ id: 'Job' });

export type JobReply = z.infer<typeof jobReplySchema>;

/** Shows every field. @param showsEnv whether the values in `env` are shown, see `seesEnv` */
export function viewRequest(request: JobRequest, showsEnv: boolean): RequestView {
  const view = Object.fromEntries(requestNames.map((name) => [name, request[name] ?? null]));
  return { ...(view as RequestView), ...(!showsEnv && { env: maskEnv(request.env) }) };
}

/**
 * Shows a job as the API does. Outside of `params` and `env`, exactly one key is named "status":
 * scripts look for it with grep.
 * @param whyClosed why the GPUs that the job waits for are closed, if they are
 * @param showsEnv whether the values in `env` are shown, see `seesEnv`
 */
export function viewJob(job: Job, whyClosed: string | null, showsEnv: boolean): JobReply {
  return {
    job_id: job.job_id,
    slurm_job_id: job.slurm_job_id,
    user: job.user,
    status: job.state,
    ...viewRequest(job.request, showsEnv),
    experiment_id: job.experiment_id,
    priority: job.priority,
    gres: job.gres,
    gpu_indices: job.gpu_indices,
    reason: job.reason,
    reason_text: reasonText(job, whyClosed),
    exit_code: job.exit_code,
    signal: job.signal,
    failure: job.failure,
    message: job.message,
    warning: job.warning,
    node: job.node_list,
    submitted_at: new Date(job.submitted_at).toISOString(),
    started_at: iso(job.started_at),
    ended_at: iso(job.ended_at),
  };
}

function reasonText(job: Job, whyClosed: string | null): string | null {
  if (job.state === 'SUBMITTING' && job.attempts > 0 && job.message !== null)
    return `Slurm cannot take it now (${job.message}); JobRunner submits it again later`;
  if (job.state === 'SUBMITTING')
    return 'is stored; JobRunner submits it as soon as Slurm’s controller answers';
  if (job.reason === null || job.state !== 'PENDING') return null;
  return waitsForRoom(job.reason) && whyClosed !== null ? whyClosed : explainReason(job.reason);
}
