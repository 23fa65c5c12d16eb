import { Router, type Request, type Response } from 'express';
import { z } from 'zod';
import { nameSubject } from '../auth/audit.js';
import { callerOf, mayUse } from '../auth/caller.js';
import { AppError } from '../errors.js';
import { unhurried } from '../http/long-reply.js';
import { readParams, readQuery } from '../http/read-input.js';
import { sendSpaced } from '../http/spaced-json.js';
import { viewDataset } from './dataset-view.js';
import { sha256Schema, type Sha256 } from './digest.js';
import type { Kept } from './make-dataset.js';
import type { DatasetService } from './service.js';
import { cutOff, readUploadForm } from './upload/upload-form.js';

const paramsSchema = z.object({ sha256: sha256Schema });
const noQuery = z.strictObject({});
const putQuery = z.strictObject({ name: z.string().max(1000).optional() });
const pageQuery = z.strictObject({
  limit: z
    .string()
    .regex(/^\d{1,5}$/, 'expected a whole number from 1 to 10000')
    .default('1000')
    .transform(Number)
    .refine((n) => n >= 1 && n <= 10_000, 'expected a whole number from 1 to 10000'),
  after: z.string().optional(),
});

/** Serves `/datasets` except imports, whose routes are mounted before these. */
export function datasetRoutes(service: DatasetService): Router {
  const router = Router();

  router.post('/upload', async (req, res) => {
    readQuery(noQuery, req);
    const owner = callerOf(res).user;
    const { staged, sha256, name } = await readUploadForm(service, owner, req, res);
    unhurried(res);
    sendKept(
      res,
      await service.keep(staged, { owner, expectedSha: sha256, name, source: 'upload' }),
    );
  });

  router.put('/:sha256', async (req, res) => {
    const expectedSha = digestOf(req);
    const { name } = readQuery(putQuery, req);
    const owner = callerOf(res).user;
    const length = req.get('content-length');
    const staged = await service
      .stage(req, { owner, ...(length !== undefined && { length: Number(length) }) })
      .catch((error: unknown) => {
        throw req.aborted ? cutOff() : error;
      });
    unhurried(res);
    sendKept(res, await service.keep(staged, { owner, expectedSha, name, source: 'put' }));
  });

  router.get('/exists/:sha256', (req, res) => {
    const sha256 = digestOf(req);
    sendSpaced(res, { exists: service.exists(sha256), sha256 });
  });

  router.get('/', (req, res) => {
    readQuery(noQuery, req);
    sendSpaced(res, { datasets: service.list().map(viewDataset) });
  });

  router.get('/:sha256', (req, res) => {
    sendSpaced(res, viewDataset(service.get(digestOf(req))));
  });

  router.get('/:sha256/files', async (req, res) => {
    sendSpaced(res, await service.files(digestOf(req), readQuery(pageQuery, req)));
  });

  router.post('/:sha256/verify', async (req, res) => {
    const sha256 = digestOf(req);
    unhurried(res);
    const { dataset, problem } = await service.verify(sha256);
    const ok = problem === undefined;
    sendSpaced(res, { ok, ...(!ok && { problem }), ...viewDataset(dataset) });
  });

  router.delete('/:sha256', async (req, res) => {
    const sha256 = digestOf(req);
    const caller = callerOf(res);
    await service.remove(sha256, (owner) => mayUse(caller, owner));
    sendSpaced(res, { deleted: true, sha256 });
  });

  // Paths such as `/datasets/../x` have no digest where one belongs.
  router.use((req, _res, next) => {
    if (req.path.split('/').includes('..'))
      throw new AppError('bad_request', 'sha256: expected 64 digits 0-9a-f, as sha256sum prints');
    next();
  });
  return router;
}

function digestOf(req: Request): Sha256 {
  return readParams(paramsSchema, req).sha256;
}

function sendKept(res: Response, { dataset, created }: Kept): void {
  nameSubject(res, `dataset ${dataset.sha256}`);
  res.status(created ? 201 : 200);
  sendSpaced(res, { ...viewDataset(dataset), created });
}
