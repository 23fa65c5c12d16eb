import { z } from 'zod';
import { nameSubject } from '../../auth/audit.js';
import { callerOf, scopeOf } from '../../auth/caller.js';
import type { Api } from '../../http/api.js';
import { endpoint } from '../../http/endpoint.js';
import { noTimeout } from '../../http/long-reply.js';
import { pageOf, pageQuery } from '../../http/pages.js';
import { greppableJson } from '../../http/reply.js';
import { fields } from '../../http/request-body.js';
import type { Waits } from '../../http/waits.js';
import { sha256Schema } from '../digest.js';
import { importReplySchema, importsReplySchema } from './replies.js';
import type { ImportService } from './service.js';

const createSchema = z.strictObject({
  uri: z.string({ error: 'expected s3://bucket/key' }).max(4096, 'longer than 4096 characters'),
  sha256: sha256Schema.optional(),
  name: z
    .string()
    .min(1, 'expected a name')
    .max(255, 'longer than 255 characters')
    .regex(/^[^\x00-\x1f\x7f]*$/, 'a name has no control characters')
    .optional(),
});
const params = z.strictObject({
  id: z
    .string()
    .regex(/^\d{1,15}$/, 'expected an import’s number')
    .transform(Number),
});
const listQuery = z.strictObject(pageQuery(1000));
const waitQuery = z.strictObject({
  wait: z
    .string()
    .regex(/^\d{1,3}$/, 'expected seconds from 0 to 300')
    .transform(Number)
    .refine((seconds) => seconds <= 300, 'expected seconds from 0 to 300')
    .default(0),
});

/**
 * Mounts `/datasets/import` and `/datasets/imports`; must precede the routes that take a digest
 * there.
 */
export function importRoutes(api: Api, imports: ImportService, waits: Waits): void {
  endpoint(
    api,
    {
      method: 'post',
      path: '/datasets/import',
      role: 'user',
      summary: 'Start an import from B2 or S3',
      body: fields(createSchema),
      reply: greppableJson(
        importReplySchema,
        { 202: 'Started.' },
        { Location: 'The path of the import.' },
      ),
      errors: ['conflict', 'limit_reached', 'shutting_down'],
    },
    ({ body, res }) => {
      const record = imports.create({ ...body, user: callerOf(res).user });
      nameSubject(res, `import ${record.id}`);
      res.status(202).location(`/datasets/imports/${record.id}`);
      return record;
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/datasets/imports',
      role: 'reader',
      summary: 'List your imports, newest first',
      query: listQuery,
      reply: greppableJson(importsReplySchema),
      errors: [],
    },
    ({ query: { limit, before }, res }) => {
      const found = imports.list(scopeOf(callerOf(res)), limit + 1, before);
      const { page, next_before } = pageOf(found, limit, ({ id }) => id);
      return { imports: page, next_before };
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/datasets/imports/{id}',
      role: 'reader',
      summary: 'Show an import, or wait for its end',
      params,
      query: waitQuery,
      reply: greppableJson(
        importReplySchema,
        { 200: 'The import as it is now.' },
        { 'Retry-After': '0: the time to wait is over and the import goes on; ask again.' },
      ),
      errors: ['not_found'],
    },
    async ({ params: { id }, query: { wait }, req, res }) => {
      imports.get(id, scopeOf(callerOf(res)));
      const record = await imports.wait(id, waits.begin(req, res, wait));
      if (wait > 0 && record.ended_at === null) res.set('Retry-After', '0');
      return record;
    },
  );

  endpoint(
    api,
    {
      method: 'delete',
      path: '/datasets/imports/{id}',
      role: 'user',
      summary: 'Cancel an import',
      params,
      reply: greppableJson(importReplySchema),
      errors: ['not_found', 'conflict'],
    },
    ({ params: { id }, res }) => {
      imports.get(id, scopeOf(callerOf(res)));
      noTimeout(res);
      return imports.cancel(id);
    },
  );
}
