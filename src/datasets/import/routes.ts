import express, { Router, type RequestHandler } from 'express';
import multer from 'multer';
import { z } from 'zod';
import { nameSubject } from '../../auth/audit.js';
import { callerOf, scopeOf } from '../../auth/caller.js';
import { unhurried, untilNobodyWaits } from '../../http/long-reply.js';
import { readBody, readParams, readQuery } from '../../http/read-input.js';
import { sendSpaced } from '../../http/spaced-json.js';
import { sha256Schema } from '../digest.js';
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
const idSchema = z.strictObject({
  id: z
    .string()
    .regex(/^\d{1,15}$/, 'expected an import’s number')
    .transform(Number),
});
const waitSchema = z.strictObject({
  wait: z
    .string()
    .regex(/^\d{1,3}$/, 'expected seconds from 0 to 300')
    .transform(Number)
    .refine((seconds) => seconds <= 300, 'expected seconds from 0 to 300')
    .default(0),
});

/** Serves `/datasets/import` and `/datasets/imports`; mounted before the routes of digests. */
export function importRoutes(imports: ImportService, stopping: AbortSignal): Router {
  const router = Router();
  const body: RequestHandler[] = [
    express.json({ limit: '64kb' }),
    express.urlencoded({ extended: false, limit: '64kb' }),
    multer({ limits: { fieldSize: 64 * 1024, fields: 16 } }).none(),
  ];

  router.post('/import', ...body, (req, res) => {
    const { user } = callerOf(res);
    const record = imports.create({ ...readBody(createSchema, req), user });
    nameSubject(res, `import ${record.id}`);
    res.status(202).location(`/datasets/imports/${record.id}`);
    sendSpaced(res, record);
  });

  router.get('/imports', (req, res) => {
    readQuery(z.strictObject({}), req);
    sendSpaced(res, { imports: imports.list(scopeOf(callerOf(res))) });
  });

  router.get('/imports/:id', async (req, res) => {
    const { id } = readParams(idSchema, req);
    const { wait } = readQuery(waitSchema, req);
    imports.get(id, scopeOf(callerOf(res)));
    unhurried(res);
    const waiting = untilNobodyWaits(res, stopping, wait * 1000);
    sendSpaced(res, await imports.wait(id, waiting));
  });

  router.delete('/imports/:id', async (req, res) => {
    const { id } = readParams(idSchema, req);
    imports.get(id, scopeOf(callerOf(res)));
    unhurried(res);
    sendSpaced(res, await imports.cancel(id));
  });

  return router;
}
