import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Response } from 'express';
import { z } from 'zod';
import { callerOf, scopeOf } from '../auth/caller.js';
import type { Api } from '../http/api.js';
import { endpoint } from '../http/endpoint.js';
import { abortWhenDone } from '../http/long-reply.js';
import { json, streamedReply } from '../http/reply.js';
import { waitSchema, type Waits } from '../http/waits.js';
import { viewJobOutputs } from '../outputs/output-view.js';
import { indexingHeaders } from '../outputs/routes.js';
import type { OutputService } from '../outputs/service.js';
import { maskScript, seesEnv } from './job-env.js';
import type { Job, JobId } from './job.js';
import type { JobFolders } from './job-folders.js';
import { viewJob } from './job-view.js';
import { openLog } from './log-file.js';
import { streamLog } from './log-stream.js';
import { resultReplySchema } from './replies.js';
import { jobParams as params, wholeNumber } from './route-input.js';
import type { JobService } from './service.js';

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
const streamQuery = z.strictObject({
  stream: z.enum(['stdout', 'stderr'], { error: 'expected stdout or stderr' }).default('stdout'),
  offset: wholeNumber(Number.MAX_SAFE_INTEGER).default(0),
});
const resultQuery = z.strictObject({ wait: waitSchema });

const logReply = streamedReply(
  'text/plain; charset=utf-8',
  { 200: 'The log, or the requested part.' },
  { 'X-Log-Size': 'Bytes of the whole log.', 'X-Next-Offset': 'Where the next part starts.' },
);
const events = streamedReply('text/event-stream; charset=utf-8', {
  200: 'A `log` event for each piece, whose id is the byte it ends at; then an `end` event.',
});

interface LogRoutesParts {
  jobs: JobService;
  outputs: OutputService;
  folders: JobFolders;
  /** Variables of every job, whose values readers do not see. */
  commonEnv: Readonly<Record<string, string>>;
  stopping: AbortSignal;
  waits: Waits;
  whyClosed: (job: Job) => string | null;
}

/** Mounts a job's log, result and script under `/jobs/{id}`. */
export function logRoutes(
  api: Api,
  { jobs, outputs, folders, commonEnv, stopping, waits, whyClosed }: LogRoutesParts,
): void {
  /** Finds the job; another user's does not exist for the caller. */
  const own = (res: Response, id: JobId) => jobs.get(id, scopeOf(callerOf(res)));

  endpoint(
    api,
    {
      method: 'get',
      path: '/jobs/{id}/log',
      role: 'reader',
      summary: 'Read a job’s log',
      params,
      query: logQuery,
      reply: logReply,
      errors: ['not_found', 'conflict', 'log_not_split'],
    },
    async ({ params: { id }, query: { stream, ...window }, req, res }) => {
      const log = await openLog(folders, own(res, id), stream, window);
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
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/jobs/{id}/log/stream',
      role: 'reader',
      summary: 'Follow a job’s log as server-sent events',
      params,
      query: streamQuery,
      headers: z.object({
        'Last-Event-ID': z.string().optional().describe('Continue from that byte.'),
      }),
      reply: events,
      errors: ['not_found', 'conflict', 'log_not_split'],
    },
    async ({ params: { id }, query: { stream, offset }, headers, res }) => {
      const resumed = /^\d{1,15}$/.exec(headers['Last-Event-ID'] ?? '')?.[0];
      const waiting = abortWhenDone(res, stopping);
      const { job_id } = own(res, id);
      await streamLog(res, waiting, jobs, folders, job_id, stream, Number(resumed ?? offset));
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/jobs/{id}/result',
      role: 'reader',
      summary: 'Show a job with its outputs, indexed now',
      params,
      query: resultQuery,
      reply: json(resultReplySchema, undefined, indexingHeaders),
      errors: ['not_found', 'disk_full', 'shutting_down'],
    },
    async ({ params: { id }, query: { wait }, req, res }) => {
      const job = own(res, id);
      const view = viewJob(job, whyClosed(job), seesEnv(callerOf(res), job.user));
      const found = await outputs.refresh(id, waits.begin(req, res, wait));
      if (wait > 0 && found.indexing) res.set('Retry-After', '0');
      return { ...view, ...viewJobOutputs(found) };
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/jobs/{id}/script',
      role: 'reader',
      summary: 'Read a job’s script as Slurm got it',
      params,
      reply: streamedReply('text/plain; charset=utf-8', { 200: 'The script.' }),
      errors: ['not_found'],
    },
    async ({ params: { id }, res }) => {
      const { job_id, user, request } = own(res, id);
      const script = await jobs.script(job_id);
      const shown = seesEnv(callerOf(res), user)
        ? script
        : maskScript(script, request.env, Object.keys(commonEnv));
      res.type('text/plain').send(shown);
    },
  );
}
