import { z } from 'zod';
import type { Response } from 'express';
import { callerOf, ownerSchema, scopeOf } from '../auth/caller.js';
import type { ErrorCode } from '../errors.js';
import type { Api } from '../http/api.js';
import { endpoint } from '../http/endpoint.js';
import { json, streamedReply } from '../http/reply.js';
import { maxWait, waitSchema, type Waits } from '../http/waits.js';
import { viewJobOutputs, viewOutput } from './output-view.js';
import { experimentOutputsReplySchema, jobOutputsReplySchema } from './replies.js';
import { sendDownload } from './send-download.js';
import type { OutputService } from './service.js';

const id = (max: number) =>
  z
    .string({ error: 'expected it once' })
    .min(1, 'is empty')
    .max(max, `expected at most ${max} characters`)
    .refine((value) => !value.includes('\0'), 'holds a NUL byte');

const jobId = z
  .string({ error: 'expected it once' })
  .regex(/^[1-9]\d{0,14}$/, 'expected a job number such as 1')
  .transform(Number);

const byExperimentQuery = z.strictObject({
  experiment_id: id(256),
  user: ownerSchema.optional(),
});
const listQuery = byExperimentQuery.extend({ wait: waitSchema });
const byJobQuery = z.strictObject({ wait: waitSchema });
const byJobParams = z.object({ id: jobId });
const downloadQuery = byExperimentQuery.extend({
  output_id: id(4096),
  job_id: z.union([z.literal('latest'), jobId], 'expected a job number, or latest').optional(),
});
const downloadByJobQuery = z.strictObject({ job_id: jobId, rel_path: id(4096) });

const download = streamedReply(
  'application/octet-stream',
  {
    200: 'The file. A folder comes as `.tar.gz`, with the type application/gzip.',
    206: 'The part that `Range` requests.',
    304: '`If-None-Match` names the present file.',
    412: '`If-Match` names another file.',
  },
  {
    ETag: 'Names the present content of the file.',
    'Accept-Ranges': '`bytes`, or `none` for a folder.',
  },
);
const rangeHeaders = z.object({
  Range: z.string().optional(),
  'If-Range': z.string().optional(),
  'If-Match': z.string().optional(),
  'If-None-Match': z.string().optional(),
});
/** Headers of a reply with `indexing`. */
export const indexingHeaders = {
  'Retry-After': '0: the time to wait is over and the indexing goes on; ask again.',
};
const errors: ErrorCode[] = ['not_found', 'disk_full', 'shutting_down'];
const downloadErrors: ErrorCode[] = [...errors, 'conflict', 'range_unsatisfiable'];

/** Mounts `/outputs`: lists the outputs of jobs, and downloads them. */
export function outputRoutes(api: Api, outputs: OutputService, waits: Waits): void {
  const experiment = (res: Response, query: z.output<typeof byExperimentQuery>) => {
    const caller = callerOf(res);
    const { experiment_id: experimentId, user } = query;
    return { experimentId, user, caller: caller.user, scope: scopeOf(caller) };
  };

  endpoint(
    api,
    {
      method: 'get',
      path: '/outputs',
      role: 'reader',
      summary: 'List the outputs of an experiment’s jobs',
      query: listQuery,
      reply: json(experimentOutputsReplySchema, undefined, indexingHeaders),
      errors: [...errors, 'ambiguous'],
    },
    async ({ query, req, res }) => {
      const until = waits.begin(req, res, query.wait);
      const { rows, indexing } = await outputs.byExperiment(experiment(res, query), until);
      if (query.wait > 0 && indexing) res.set('Retry-After', '0');
      return { experiment_id: query.experiment_id, outputs: rows.map(viewOutput), indexing };
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/outputs/by_job/{id}',
      role: 'reader',
      summary: 'List the outputs of a job',
      params: byJobParams,
      query: byJobQuery,
      reply: json(jobOutputsReplySchema, undefined, indexingHeaders),
      errors,
    },
    async ({ params, query: { wait }, req, res }) => {
      const until = waits.begin(req, res, wait);
      const found = await outputs.byJob(params.id, scopeOf(callerOf(res)), until);
      if (wait > 0 && found.indexing) res.set('Retry-After', '0');
      return viewJobOutputs(found);
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/outputs/download',
      role: 'reader',
      summary: 'Download an output by its id',
      query: downloadQuery,
      headers: rangeHeaders,
      reply: download,
      errors: [...downloadErrors, 'ambiguous'],
    },
    async ({ query, req, res }) => {
      const { output_id: outputId, job_id: of } = query;
      const until = waits.begin(req, res, maxWait);
      const found = await outputs.openOutput(experiment(res, query), outputId, until, of);
      await sendDownload(req, res, found);
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/outputs/download_by_job',
      role: 'reader',
      summary: 'Download an output by its path',
      query: downloadByJobQuery,
      headers: rangeHeaders,
      reply: download,
      errors: downloadErrors,
    },
    async ({ query: { job_id, rel_path }, req, res }) => {
      const scope = scopeOf(callerOf(res));
      await sendDownload(req, res, await outputs.openByPath(job_id, rel_path, scope));
    },
  );
}
