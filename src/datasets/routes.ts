import type { Request, Response } from 'express';
import { z } from 'zod';
import { nameSubject } from '../auth/audit.js';
import { callerOf, mayUse } from '../auth/caller.js';
import { fieldError, type ErrorCode } from '../errors.js';
import type { Api } from '../http/api.js';
import { endpoint } from '../http/endpoint.js';
import { noTimeout } from '../http/long-reply.js';
import { greppableJson } from '../http/reply.js';
import { file, streamed } from '../http/request-body.js';
import { viewDataset } from './dataset-view.js';
import { sha256Schema, type Sha256 } from './digest.js';
import * as replies from './replies.js';
import type { DatasetService, KeptUpload } from './service.js';
import { cutOff, readUploadForm } from './upload/upload-form.js';

const params = z.object({ sha256: sha256Schema });
const putQuery = z.strictObject({ name: z.string().max(1000).optional() });
const putHeaders = z.object({
  'If-None-Match': z
    .literal('*', 'expected *')
    .optional()
    .describe('`*` refuses a dataset that is stored already, instead of answering 200.'),
});
const pageQuery = z.strictObject({
  limit: z
    .string()
    .regex(/^\d{1,5}$/, 'expected a whole number from 1 to 10000')
    .default('1000')
    .transform(Number)
    .refine((n) => n >= 1 && n <= 10_000, 'expected a whole number from 1 to 10000'),
  after: z.string().optional().describe('The `next` of the previous page.'),
});
const uploadForm = z.strictObject({
  file: file('An archive, or any other file.'),
  sha256: z.string().optional().describe('Its expected digest.'),
  name: z.string().max(1000).optional().describe('Shown instead of the file’s own name.'),
});

const kept = greppableJson(replies.keptReplySchema, {
  200: 'Stored already.',
  201: 'Stored.',
});
const keepErrors: ErrorCode[] = [
  'sha256_mismatch',
  'archive_refused',
  'too_large',
  'quota_exceeded',
  'shutting_down',
];

/**
 * Mounts `/datasets` except imports, which must be mounted first.
 * @param jobsOf counts the jobs that name a dataset, and lists the newest of them
 */
export function datasetRoutes(
  api: Api,
  service: DatasetService,
  jobsOf: (sha256: Sha256) => { count: number; newest: number[] },
): void {
  endpoint(
    api,
    {
      method: 'post',
      path: '/datasets/upload',
      role: 'user',
      summary: 'Store a dataset sent as a form',
      body: streamed({ 'multipart/form-data': uploadForm }),
      reply: kept,
      errors: keepErrors,
    },
    async ({ req, res }) => {
      const owner = callerOf(res).user;
      const { staged, sha256, name } = await readUploadForm(service, owner, req, res);
      noTimeout(res);
      const options = { owner, expectedSha: sha256, name, source: 'upload' };
      return viewKept(res, await service.keep(staged, options));
    },
  );

  endpoint(
    api,
    {
      method: 'put',
      path: '/datasets/{sha256}',
      role: 'user',
      summary: 'Store a dataset sent as the raw body (`curl -T`)',
      params,
      query: putQuery,
      headers: putHeaders,
      body: streamed({ '*/*': file('An archive, or any other file.') }),
      reply: kept,
      errors: [...keepErrors, 'exists_already'],
    },
    async ({ params: { sha256: expectedSha }, query: { name }, headers, req, res }) => {
      const owner = callerOf(res).user;
      const length = lengthOf(req);
      const stored = await service.findStored(expectedSha, length);
      if (stored && headers['If-None-Match'] !== undefined)
        throw fieldError('exists_already', 'If-None-Match', `dataset ${expectedSha} is stored`);
      // The bytes are not needed. A body of another length is read, to tell what it is.
      if (stored) return viewKept(res, { dataset: stored, created: false, waited: 0 });
      const staged = await service.stage(req, { owner, length }).catch((error: unknown) => {
        throw req.aborted ? cutOff() : error;
      });
      noTimeout(res);
      return viewKept(res, await service.keep(staged, { owner, expectedSha, name, source: 'put' }));
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/datasets/exists/{sha256}',
      role: 'reader',
      summary: 'Check whether a dataset is stored and intact',
      params,
      reply: greppableJson(replies.existsReplySchema),
      errors: [],
    },
    ({ params: { sha256 } }) => ({ exists: service.exists(sha256), sha256 }),
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/datasets',
      role: 'reader',
      summary: 'List the datasets',
      reply: greppableJson(replies.datasetsReplySchema),
      errors: [],
    },
    () => ({ datasets: service.list().map(viewDataset) }),
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/datasets/{sha256}',
      role: 'reader',
      summary: 'Show a dataset',
      params,
      reply: greppableJson(replies.datasetReplySchema),
      errors: ['not_found'],
    },
    ({ params: { sha256 } }) => viewDataset(service.get(sha256)),
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/datasets/{sha256}/files',
      role: 'reader',
      summary: 'List a dataset’s files, page by page',
      params,
      query: pageQuery,
      reply: greppableJson(replies.filesReplySchema),
      errors: ['not_found'],
    },
    ({ params: { sha256 }, query }) => service.files(sha256, query),
  );

  endpoint(
    api,
    {
      method: 'post',
      path: '/datasets/{sha256}/verify',
      role: 'user',
      summary: 'Compare every stored byte with the digest',
      params,
      reply: greppableJson(replies.verifyReplySchema, {
        200: 'Compared. No job gets a damaged dataset until it is uploaded again.',
      }),
      errors: ['not_found', 'shutting_down'],
    },
    async ({ params: { sha256 }, res }) => {
      noTimeout(res);
      const { dataset, problem } = await service.verify(sha256, callerOf(res).user);
      const ok = problem === undefined;
      return { ok, ...(!ok && { problem }), ...viewDataset(dataset) };
    },
  );

  endpoint(
    api,
    {
      method: 'delete',
      path: '/datasets/{sha256}',
      role: 'user',
      summary: 'Delete a dataset that no live job uses',
      params,
      reply: greppableJson(replies.removedReplySchema),
      errors: ['not_found', 'forbidden', 'conflict', 'shutting_down'],
    },
    async ({ params: { sha256 }, res }) => {
      const caller = callerOf(res);
      await service.remove(sha256, (owner) => mayUse(caller, owner));
      const { count, newest } = jobsOf(sha256);
      return { deleted: true as const, sha256, ended_jobs: count, job_ids: newest };
    },
  );
}

/** Returns the announced bytes of the body; undefined if it comes in chunks. */
function lengthOf(req: Request): number | undefined {
  const length = req.get('content-length');
  return length === undefined ? undefined : Number(length);
}

function viewKept(res: Response, { dataset, created, waited }: KeptUpload) {
  nameSubject(res, `dataset ${dataset.sha256}`);
  res.status(created ? 201 : 200);
  return { ...viewDataset(dataset), created, waited_seconds: Math.round(waited * 1000) / 1000 };
}
