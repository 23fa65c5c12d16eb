import type { Response } from 'express';
import { z } from 'zod';
import { nameSubject } from '../auth/audit.js';
import { callerOf, ownerSchema, scopeOf } from '../auth/caller.js';
import type { ErrorCode } from '../errors.js';
import type { Api } from '../http/api.js';
import { endpoint } from '../http/endpoint.js';
import { pageOf } from '../http/pages.js';
import { json, noContent } from '../http/reply.js';
import { fields, file } from '../http/request-body.js';
import type { Waits } from '../http/waits.js';
import type { JobControl } from './control.js';
import { seesEnv } from './job-env.js';
import { jobStates, type Job, type JobId } from './job.js';
import { jobReplySchema, viewJob, viewRequest } from './job-view.js';
import { jobsReplySchema, submittedReplySchema } from './replies.js';
import { changesSchema, idempotencyKeySchema, prioritySchema, submitSchema } from './request.js';
import { jobParams as params, wholeNumber } from './route-input.js';
import { readJobForm, toScriptFile } from './script/upload.js';
import type { JobService, Submitted } from './service.js';

const listQuery = z.strictObject({
  user: ownerSchema.optional(),
  state: z
    .string()
    .transform((text) => text.toUpperCase())
    .pipe(z.enum(jobStates, { error: `expected one of ${jobStates.join(', ')}` }))
    .optional(),
  experiment_id: z.string().max(256).optional(),
  limit: wholeNumber(1000).default(100),
  before: wholeNumber(Number.MAX_SAFE_INTEGER).optional(),
});
const waitQuery = z.strictObject({ wait: wholeNumber(300).default(0) });
const priorityBody = z.strictObject({ priority: prioritySchema });

const submitted = json(
  submittedReplySchema,
  {
    200: 'The job of an earlier request, or the result of `dry_run`.',
    201: 'Submitted.',
    202: 'Stored; Slurm gets it later.',
  },
  { Location: 'The path of the job.' },
);
const submitErrors: ErrorCode[] = [
  'not_found',
  'conflict',
  'dataset_corrupt',
  'limit_reached',
  'quota_exceeded',
  'unprocessable',
  'slurm_refused',
  'slurm_unavailable',
  'shutting_down',
];
const controlErrors: ErrorCode[] = ['not_found', 'conflict', 'slurm_unavailable'];
/** Some external clusters cannot requeue. */
const requeueErrors: ErrorCode[] = [...controlErrors, 'not_supported'];

const actions = {
  cancel: 'Cancel a job',
  hold: 'Keep a waiting job from starting',
  release: 'Let a held job start',
  requeue: 'Stop a running job, and queue it again',
} as const;

/** Mounts `/jobs`: submit, follow, stop. */
export function jobRoutes(
  api: Api,
  jobs: JobService,
  control: JobControl,
  waits: Waits,
  whyClosed: (job: Job) => string | null,
): void {
  const viewFor = (res: Response) => (job: Job) =>
    viewJob(job, whyClosed(job), seesEnv(callerOf(res), job.user));
  /** Finds the job's number; another user's job does not exist for the caller. */
  const own = (res: Response, id: JobId) => jobs.get(id, scopeOf(callerOf(res))).job_id;

  endpoint(
    api,
    {
      method: 'post',
      path: '/jobs',
      role: 'user',
      summary: 'Submit a job',
      headers: z.object({
        'Idempotency-Key': idempotencyKeySchema
          .optional()
          .describe('Makes it safe to send the request twice.'),
      }),
      body: fields(submitSchema, {
        maxBytes: 1024 ** 2,
        form: readJobForm(),
        files: { script: file('Run as it is.').optional() },
      }),
      reply: submitted,
      errors: submitErrors,
    },
    async ({ headers: { 'Idempotency-Key': idempotencyKey }, body, req, res }) => {
      const script = toScriptFile(req.file);
      const { user } = callerOf(res);
      const answer = await jobs.submit(body, { user, script, idempotencyKey });
      return viewSubmitted(res, viewFor(res), answer);
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/jobs',
      role: 'reader',
      summary: 'List jobs, newest first',
      query: listQuery,
      reply: json(jobsReplySchema),
      errors: [],
    },
    ({ query: { user: ofUser, state, experiment_id: experimentId, limit, before }, res }) => {
      const scope = scopeOf(callerOf(res));
      const user = scope ?? ofUser;
      // Other users' jobs do not exist for the caller, who must not get their own instead.
      if (ofUser !== undefined && user !== ofUser) return { jobs: [], next_before: null };
      const found = jobs.list({ user, state, experimentId, limit: limit + 1, before });
      const { page, next_before } = pageOf(found, limit, ({ job_id: id }) => id);
      return { jobs: page.map(viewFor(res)), next_before };
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/jobs/{id}',
      role: 'reader',
      summary: 'Show a job, or wait for its end',
      params,
      query: waitQuery,
      reply: json(
        jobReplySchema,
        { 200: 'The job as it is now.' },
        { 'Retry-After': '0: the time to wait is over and the job goes on; ask again.' },
      ),
      errors: ['not_found'],
    },
    async ({ params: { id }, query: { wait }, req, res }) => {
      const job = await jobs.wait(own(res, id), waits.begin(req, res, wait));
      if (wait > 0 && !job.terminal) res.set('Retry-After', '0');
      return viewFor(res)(job);
    },
  );

  for (const action of ['cancel', 'hold', 'release', 'requeue'] as const)
    endpoint(
      api,
      {
        method: 'post',
        path: `/jobs/{id}/${action}`,
        role: 'user',
        summary: actions[action],
        params,
        reply: json(jobReplySchema),
        errors: action === 'requeue' ? requeueErrors : controlErrors,
      },
      async ({ params: { id }, res }) => viewFor(res)(await control[action](own(res, id))),
    );

  endpoint(
    api,
    {
      method: 'post',
      path: '/jobs/{id}/priority',
      role: 'user',
      summary: 'Change the priority of a waiting job',
      params,
      body: fields(priorityBody),
      reply: json(jobReplySchema),
      errors: controlErrors,
    },
    async ({ params: { id }, body: { priority }, res }) =>
      viewFor(res)(await control.setPriority(own(res, id), priority)),
  );

  endpoint(
    api,
    {
      method: 'post',
      path: '/jobs/{id}/rerun',
      role: 'user',
      summary: 'Submit a job again, with changes if you name some',
      params,
      body: fields(changesSchema, { maxBytes: 1024 ** 2 }),
      reply: submitted,
      errors: submitErrors,
    },
    async ({ params: { id }, body, res }) =>
      viewSubmitted(res, viewFor(res), await jobs.rerun(own(res, id), body)),
  );

  endpoint(
    api,
    {
      method: 'delete',
      path: '/jobs/{id}',
      role: 'user',
      summary: 'Delete an ended job with its outputs and log',
      params,
      reply: noContent('Deleted.'),
      errors: ['not_found', 'conflict'],
    },
    ({ params: { id }, res }) => jobs.remove(own(res, id)),
  );
}

function viewSubmitted<View>(res: Response, view: (job: Job) => View, answer: Submitted) {
  if (answer.kind === 'dry_run')
    return {
      dry_run: true as const,
      request: viewRequest(answer.request, true),
      script: answer.script,
    };
  res.status({ created: 201, waiting: 202, repeated: 200 }[answer.kind]);
  nameSubject(res, `job ${answer.job.job_id}`);
  res.location(`/jobs/${answer.job.job_id}`);
  return view(answer.job);
}
