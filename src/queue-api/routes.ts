import type { Response } from 'express';
import { z } from 'zod';
import { nameSubject } from '../auth/audit.js';
import { callerOf, userSchema } from '../auth/caller.js';
import type { Authenticator } from '../auth/authenticator.js';
import type { Senders } from '../auth/senders.js';
import type { Api } from '../http/api.js';
import { endpoint } from '../http/endpoint.js';
import { noTimeout, abortWhenDone } from '../http/long-reply.js';
import { json } from '../http/reply.js';
import { file, streamed } from '../http/request-body.js';
import { idempotencyKeySchema } from '../jobs/request.js';
import * as replies from './replies.js';
import type { Asker, QueueService } from './service.js';
import { queueStates } from './state.js';
import { Submissions } from './submission.js';

/**
 * Maximum wait for the end of a cancelled job; Slurm kills it ten seconds after it asked it to end.
 */
const cancelWaitMs = 15_000;

const params = z.object({
  job_id: z
    .string()
    .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'expected a UUID')
    .transform((uuid) => uuid.toLowerCase()),
});
const listQuery = z.strictObject({
  user_id: userSchema.optional(),
  status: z.enum(queueStates, { error: `expected one of ${queueStates.join(', ')}` }).optional(),
  limit: z
    .string()
    .regex(/^\d{1,4}$/, 'expected a number up to 1000')
    .transform(Number)
    .refine((n) => n >= 1 && n <= 1000, 'expected a number from 1 to 1000')
    .default(1000),
});

const submitForm = z.strictObject({
  code: file('A Python script.'),
  config_file: file('A JSON object with `user_id` and others, see docs/queue-server-api.md.'),
});

export interface QueueRoutesParts {
  queue: QueueService;
  authenticator: Authenticator;
  senders: Senders;
  /** Whether reading works without a token. */
  isPublic: boolean;
  stopping: AbortSignal;
}

/** Mounts `GET /` and `/api/…`, as the queue server had them. */
export function queueRoutes(
  api: Api,
  { queue, authenticator, senders, isPublic, stopping }: QueueRoutesParts,
): void {
  const role = isPublic ? 'public' : 'reader';
  const asker = (res: Response): Asker => (isPublic ? 'everybody' : callerOf(res));
  const submissions = new Submissions(authenticator, senders);

  endpoint(
    api,
    {
      method: 'get',
      path: '/',
      role: 'public',
      summary: 'Show the queue server’s endpoints',
      query: z.looseObject({}),
      reply: json(replies.serviceInfoReplySchema),
      errors: [],
    },
    () => serviceInfo,
  );

  endpoint(
    api,
    {
      method: 'post',
      path: '/api/submit',
      role: 'form',
      summary: 'Submit a Python script in the queue server’s form',
      headers: z.object({ 'Idempotency-Key': idempotencyKeySchema.optional() }),
      body: streamed({ 'multipart/form-data': submitForm }),
      reply: json(replies.queueJobReplySchema),
      errors: [
        'conflict',
        'limit_reached',
        'quota_exceeded',
        'unprocessable',
        'slurm_refused',
        'slurm_unavailable',
        'shutting_down',
      ],
      withDetail: true,
    },
    async ({ headers: { 'Idempotency-Key': idempotencyKey }, req, res }) => {
      const { code, config, caller } = await submissions.read(req, res);
      const { view } = await queue.submit({ code, config, caller, idempotencyKey });
      nameSubject(res, `job ${view.jobrunner_job_id} of ${view.user_id}`);
      return view;
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/api/status/{job_id}',
      role,
      summary: 'Show a job in the queue server’s form',
      params,
      reply: json(replies.queueJobReplySchema),
      errors: ['not_found'],
      withDetail: true,
    },
    ({ params: { job_id }, res }) => queue.status(job_id, asker(res)),
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/api/results/{job_id}',
      role,
      summary: 'Show a job with the end of both its logs',
      params,
      reply: json(replies.queueResultReplySchema),
      errors: ['not_found'],
      withDetail: true,
    },
    ({ params: { job_id }, res }) => queue.results(job_id, asker(res)),
  );

  endpoint(
    api,
    {
      method: 'post',
      path: '/api/cancel/{job_id}',
      role: 'user',
      summary: 'Cancel a job, and wait for its end',
      params,
      reply: json(replies.queueJobReplySchema),
      errors: ['not_found', 'conflict', 'slurm_unavailable'],
      withDetail: true,
    },
    async ({ params: { job_id }, res }) => {
      noTimeout(res);
      const waiting = abortWhenDone(res, stopping, cancelWaitMs);
      const { view } = await queue.cancel(job_id, callerOf(res), waiting);
      nameSubject(res, `job ${view.jobrunner_job_id} of ${view.user_id}`);
      return view;
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/api/nodes',
      role,
      summary: 'List the nodes and the jobs that wait for each',
      reply: json(replies.queueNodesReplySchema),
      errors: [],
      withDetail: true,
    },
    async () => ({ nodes: await queue.nodes() }),
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/api/jobs',
      role,
      summary: 'List the jobs of the queue server’s API',
      query: listQuery,
      reply: json(replies.queueJobsReplySchema),
      errors: [],
      withDetail: true,
    },
    async ({ query: { user_id: user, status, limit }, res }) => ({
      jobs: await queue.list({ user, status, limit }, asker(res)),
    }),
  );
}

const serviceInfo = {
  service: 'JobRunner',
  description: 'Runs Python scripts on GPUs: send code and config_file to /api/submit',
  status: 'running',
  endpoints: {
    submit: 'POST /api/submit',
    status: 'GET /api/status/{job_id}',
    results: 'GET /api/results/{job_id}',
    cancel: 'POST /api/cancel/{job_id}',
    nodes: 'GET /api/nodes',
    jobs: 'GET /api/jobs?user_id=&status=',
    health: 'GET /health',
  },
};
