import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import express, { Router, type Response } from 'express';
import { z } from 'zod';
import { nameSubject } from '../auth/audit.js';
import { callerOf, scopeOf, userSchema } from '../auth/caller.js';
import { AppError } from '../errors.js';
import { unhurried, untilNobodyWaits } from '../http/long-reply.js';
import { readBody, readParams, readQuery } from '../http/read-input.js';
import { jobOutputsReply } from '../outputs/routes.js';
import type { OutputService } from '../outputs/service.js';
import type { JobControl } from './control.js';
import { maskScript, seesEnv } from './job-env.js';
import type { Job, JobId } from './job.js';
import type { JobFolders } from './job-folders.js';
import { viewJob, viewRequest } from './job-view.js';
import { openLog } from './log-file.js';
import { streamLog } from './log-stream.js';
import { idempotencyKeySchema, prioritySchema, submitSchema } from './request.js';
import { readJobForm, toScriptFile } from './script/upload.js';
import type { JobService, Submitted } from './service.js';

const bodyBytes = 1024 ** 2;

const jobParams = z.object({
  id: z
    .string()
    .regex(/^[1-9]\d{0,14}$/, 'expected a job number such as 1')
    .transform((text) => Number(text) as JobId),
});
const wholeNumber = (max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'expected a whole number')
    .transform(Number)
    .refine((n) => n <= max, `at most ${max}`);
const listQuery = z.strictObject({
  user: userSchema.optional(),
  state: z
    .string()
    .regex(/^[A-Za-z_]+$/, 'expected a state such as RUNNING')
    .transform((text) => text.toUpperCase())
    .optional(),
  experiment_id: z.string().max(256).optional(),
  limit: wholeNumber(1000).default(100),
  before: wholeNumber(Number.MAX_SAFE_INTEGER).optional(),
});
const waitQuery = z.strictObject({ wait: wholeNumber(300).default(0) });
const logQuery = z
  .strictObject({
    stream: z.enum(['stdout', 'stderr'], { error: 'expected stdout or stderr' }).default('stdout'),
    offset: wholeNumber(Number.MAX_SAFE_INTEGER).optional(),
    limit: wholeNumber(Number.MAX_SAFE_INTEGER).optional(),
    tail: wholeNumber(1_000_000).optional(),
  })
  .refine(
    (q) => q.tail === undefined || q.offset === undefined,
    'offset and tail: use one of them',
  );
const priorityBody = z.strictObject({ priority: prioritySchema });
const streamQuery = z.strictObject({
  stream: z.enum(['stdout', 'stderr'], { error: 'expected stdout or stderr' }).default('stdout'),
  offset: wholeNumber(Number.MAX_SAFE_INTEGER).default(0),
});

/** JSON, or form fields as `curl -d` and `curl -F` send them. */
const anyBody = [
  express.json({ limit: bodyBytes }),
  express.urlencoded({ extended: false, limit: bodyBytes }),
  readJobForm(),
];

/** `/jobs`: submit, follow, stop. */
export function jobRoutes(
  jobs: JobService,
  control: JobControl,
  outputs: OutputService,
  folders: JobFolders,
  stopping: AbortSignal,
  whyHeldBack: (job: Job) => string | null,
): Router {
  const router = Router();
  const viewFor = (res: Response) => (job: Job) =>
    viewJob(job, whyHeldBack(job), seesEnv(callerOf(res), job.user));
  /** Another user's job is not there for the caller. */
  const idOf = (req: express.Request, res: Response) => {
    const { id } = readParams(jobParams, req);
    return jobs.get(id, scopeOf(callerOf(res))).job_id;
  };

  router.post('/', ...anyBody, async (req, res) => {
    const key = req.get('idempotency-key');
    const parsedKey = idempotencyKeySchema.optional().safeParse(key);
    if (!parsedKey.success)
      throw new AppError('bad_request', 'Idempotency-Key: expected 1 to 128 printable characters');
    const script = toScriptFile(req.file);
    const fields = readBody(submitSchema, req);
    const { user } = callerOf(res);
    const options = { user, script, idempotencyKey: parsedKey.data };
    sendSubmitted(res, viewFor(res), await jobs.submit(fields, options));
  });

  router.get('/', (req, res) => {
    const { user: ofUser, ...query } = readQuery(listQuery, req);
    const { state, experiment_id: experimentId, limit, before } = query;
    const user = scopeOf(callerOf(res)) ?? ofUser;
    res.json({ jobs: jobs.list({ user, state, experimentId, limit, before }).map(viewFor(res)) });
  });

  router.get('/:id', async (req, res) => {
    const { wait } = readQuery(waitQuery, req);
    unhurried(res);
    const waiting = untilNobodyWaits(res, stopping, wait * 1000);
    res.json(viewFor(res)(await jobs.wait(idOf(req, res), waiting)));
  });

  for (const action of ['cancel', 'hold', 'release', 'requeue'] as const) {
    router.post(`/:id/${action}`, async (req, res) => {
      res.json(viewFor(res)(await control[action](idOf(req, res))));
    });
  }

  router.post('/:id/priority', ...anyBody, async (req, res) => {
    const { priority } = readBody(priorityBody, req);
    res.json(viewFor(res)(await control.setPriority(idOf(req, res), priority)));
  });

  router.post('/:id/rerun', async (req, res) => {
    sendSubmitted(res, viewFor(res), await jobs.rerun(idOf(req, res)));
  });

  router.delete('/:id', async (req, res) => {
    await jobs.remove(idOf(req, res));
    res.status(204).end();
  });

  router.get('/:id/log', async (req, res) => {
    const { stream, ...window } = readQuery(logQuery, req);
    const log = await openLog(folders, jobs.get(idOf(req, res)), stream, window);
    res.set({
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': String(log.end - log.start),
      'X-Log-Size': String(log.size),
      'X-Next-Offset': String(log.end),
    });
    if (log.handle === undefined || log.end === log.start || req.method === 'HEAD') {
      await log.handle?.close();
      res.end();
      return;
    }
    const { handle, start, end } = log;
    await pipeline(createReadStream('', { fd: handle, start, end: end - 1 }), res);
  });

  router.get('/:id/log/stream', async (req, res) => {
    const { stream, offset } = readQuery(streamQuery, req);
    const resumed = /^\d{1,15}$/.exec(req.get('last-event-id') ?? '')?.[0];
    const waiting = untilNobodyWaits(res, stopping);
    await streamLog(res, waiting, jobs, folders, idOf(req, res), stream, Number(resumed ?? offset));
  });

  router.get('/:id/result', async (req, res) => {
    const id = idOf(req, res);
    const job = viewFor(res)(jobs.get(id));
    // Hashing what a large job left takes longer than a connection may else be silent.
    unhurried(res);
    const found = await outputs.indexJob(id);
    res.json({ ...job, ...jobOutputsReply(found) });
  });

  router.get('/:id/script', async (req, res) => {
    const { job_id, user, request } = jobs.get(idOf(req, res));
    const script = await jobs.script(job_id);
    const shown = seesEnv(callerOf(res), user) ? script : maskScript(script, request.env);
    res.type('text/plain').send(shown);
  });

  return router;
}

function sendSubmitted(res: Response, view: (job: Job) => unknown, submitted: Submitted): void {
  if (submitted.kind === 'dry_run') {
    const request = viewRequest(submitted.request, true);
    res.json({ dry_run: true, request, script: submitted.script });
    return;
  }
  const status = { created: 201, waiting: 202, repeated: 200 }[submitted.kind];
  nameSubject(res, `job ${submitted.job.job_id}`);
  res.status(status).location(`/jobs/${submitted.job.job_id}`).json(view(submitted.job));
}
