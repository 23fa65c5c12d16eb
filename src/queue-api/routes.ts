import { Router, type Request, type RequestHandler, type Response } from 'express';
import { z } from 'zod';
import { nameSubject, tokenInBody } from '../auth/audit.js';
import { bearerOf, networkOf, type Authenticator } from '../auth/authenticator.js';
import { setCaller, userSchema, type Caller } from '../auth/caller.js';
import { AppError } from '../errors.js';
import { withDetail } from '../http/error-reply.js';
import { unhurried, untilNobodyWaits } from '../http/long-reply.js';
import { readParams, readQuery } from '../http/read-input.js';
import { idempotencyKeySchema } from '../jobs/request.js';
import type { Asker, QueueService } from './service.js';
import { queueStates } from './state.js';
import { AnonymousUploads } from './anonymous-uploads.js';
import { readSubmitForm, submittedParts } from './upload.js';

/** Slurm kills a job ten seconds after it told it to end. */
const cancelWaitMs = 15_000;

const jobParams = z.object({
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

export interface QueueRoutesParts {
  queue: QueueService;
  authenticator: Authenticator;
  /** Whether reading needs no token. */
  isPublic: boolean;
  stopping: AbortSignal;
}

/** `GET /` and `/api/…`, as the queue server had them. To be mounted above the check for a token: `/api/submit` has it in its form. */
export function queueRoutes({
  queue,
  authenticator,
  isPublic,
  stopping,
}: QueueRoutesParts): Router {
  const router = Router();

  const withToken = async (req: Request, res: Response): Promise<Caller> => {
    const caller = await authenticator.check(bearerOf(req), req.ip ?? '');
    setCaller(res, caller);
    return caller;
  };
  const asker = async (req: Request, res: Response): Promise<Asker> =>
    isPublic ? 'everybody' : withToken(req, res);

  router.get('/', ours, (_req, res) => {
    res.json(serviceInfo);
  });

  const strangers = new AnonymousUploads();
  router.post('/api/submit', ours, async (req, res) => {
    const bearer = bearerOf(req);
    // Before the form is read. Whose the job is, the form's own token says, if it has one.
    if (bearer !== undefined) await callerOfSubmission(req, bearer);
    const { code, config, caller } =
      bearer === undefined
        ? await strangers.hold(networkOf(req.ip ?? ''), (signal) =>
            readSubmission(req, res, signal),
          )
        : await readSubmission(req, res);
    const key = idempotencyKeySchema.optional().safeParse(req.get('idempotency-key'));
    if (!key.success)
      throw new AppError('bad_request', 'Idempotency-Key: expected 1 to 128 printable characters');
    const { view } = await queue.submit({ code, config, caller, idempotencyKey: key.data });
    nameSubject(res, `job ${view.jobrunner_job_id} of ${view.user_id}`);
    res.json(view);
  });

  router.get('/api/status/:job_id', ours, async (req, res) => {
    const by = await asker(req, res);
    res.json(await queue.status(readParams(jobParams, req).job_id, by));
  });

  router.get('/api/results/:job_id', ours, async (req, res) => {
    const by = await asker(req, res);
    res.json(await queue.results(readParams(jobParams, req).job_id, by));
  });

  router.post('/api/cancel/:job_id', ours, async (req, res) => {
    const caller = await withToken(req, res);
    const { job_id: uuid } = readParams(jobParams, req);
    unhurried(res);
    const waiting = untilNobodyWaits(res, stopping, cancelWaitMs);
    const { view } = await queue.cancel(uuid, caller, waiting);
    nameSubject(res, `job ${view.jobrunner_job_id} of ${view.user_id}`);
    res.json(view);
  });

  router.get('/api/nodes', ours, async (req, res) => {
    await asker(req, res);
    res.json({ nodes: await queue.nodes() });
  });

  router.get('/api/jobs', ours, async (req, res) => {
    const by = await asker(req, res);
    const { user_id: user, status, limit } = readQuery(listQuery, req);
    res.json({ jobs: await queue.list({ user, status, limit }, by) });
  });

  return router;

  async function readSubmission(req: Request, res: Response, signal?: AbortSignal) {
    await readSubmitForm(req, res, signal);
    const submission = submittedParts(req);
    tokenInBody(res);
    const caller = await callerOfSubmission(req, submission.config.token ?? bearerOf(req));
    setCaller(res, caller);
    return { ...submission, caller };
  }

  async function callerOfSubmission(req: Request, token: string | undefined) {
    try {
      return await authenticator.check(token, req.ip ?? '');
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'unauthorized') throw error;
      throw new AppError(
        'unauthorized',
        'token: expected a valid one, in config_file or as "Authorization: Bearer <token>"',
      );
    }
  }
}

const ours: RequestHandler = (_req, res, next) => {
  withDetail(res);
  res.set('Cache-Control', 'no-store');
  next();
};

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
