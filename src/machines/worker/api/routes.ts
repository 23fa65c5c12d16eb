import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import express, { Router, type Request, type RequestHandler, type Response } from 'express';
import { z } from 'zod';
import { sha256Schema, type Sha256 } from '../../../datasets/digest.js';
import { AppError } from '../../../errors.js';
import { unhurried } from '../../../http/long-reply.js';
import { readBody, readParams, readQuery } from '../../../http/read-input.js';
import type { JobId } from '../../../jobs/job.js';
import type { WorkerList } from '../../../cluster/workers/worker-list.js';
import type { WorkerService } from './service.js';

const wholeNumber = z
  .string()
  .regex(/^\d{1,15}$/, 'expected a whole number')
  .transform(Number);
const jobParams = z.object({ id: wholeNumber.transform((id) => id as JobId) });
const logParams = jobParams.extend({ stream: z.enum(['stdout', 'stderr']) });
const datasetParams = z.object({ sha256: sha256Schema });
const offsetQuery = z.strictObject({ offset: wholeNumber });
const fromQuery = z.strictObject({ from: wholeNumber.default(0) });
const beginBody = z.strictObject({ slurm_job_id: z.number().int().min(1) });
const deliverBody = z.strictObject({ sha256: sha256Schema });
const problemBody = z.strictObject({ message: z.string().min(1).max(2000) });

/** Above what the agents of workers send at once. */
const mostChunkBytes = '16mb';

interface WorkerRouteParts {
  workers: WorkerList;
  service: WorkerService;
  datasets: { forJob(sha: Sha256): { originalPath: string } };
}

/** `/workers`: for the agents of workers, each with its own token. */
export function workerRoutes({ workers, service, datasets }: WorkerRouteParts): Router {
  const router = Router();
  const bytes = express.raw({ type: 'application/octet-stream', limit: mostChunkBytes });

  const asWorker: RequestHandler = (req, res, next) => {
    const token = /^Bearer (\S+)$/.exec(req.get('authorization') ?? '')?.[1];
    const worker = token === undefined ? undefined : workers.holderOf(token);
    if (worker === undefined)
      throw new AppError('unauthorized', 'this takes the token of a worker');
    res.locals['worker'] = worker.name;
    next();
  };
  router.use(asWorker, express.json({ limit: '64kb' }));

  router.get('/jobs/:id', async (req, res) => {
    res.json(await service.look(workerOf(res), readParams(jobParams, req).id));
  });

  router.post('/jobs/:id/begin', async (req, res) => {
    const { slurm_job_id } = readBody(beginBody, req);
    res.json(await service.begin(workerOf(res), readParams(jobParams, req).id, slurm_job_id));
  });

  router.put('/jobs/:id/log/:stream', bytes, async (req, res) => {
    const { id, stream } = readParams(logParams, req);
    const { offset } = readQuery(offsetQuery, req);
    res.json(await service.appendLog(workerOf(res), id, stream, offset, bodyOf(req)));
  });

  router.put('/jobs/:id/outputs', bytes, async (req, res) => {
    const { offset } = readQuery(offsetQuery, req);
    const { id } = readParams(jobParams, req);
    res.json(await service.appendOutputs(workerOf(res), id, offset, bodyOf(req)));
  });

  router.post('/jobs/:id/outputs', async (req, res) => {
    const { sha256 } = readBody(deliverBody, req);
    unhurried(res);
    await service.deliver(workerOf(res), readParams(jobParams, req).id, sha256);
    res.json({ delivered: true });
  });

  router.post('/jobs/:id/problem', (req, res) => {
    const { message } = readBody(problemBody, req);
    service.problem(workerOf(res), readParams(jobParams, req).id, message);
    res.json({ noted: true });
  });

  router.get('/jobs/:id/script', async (req, res) => {
    const path = service.scriptOf(workerOf(res), readParams(jobParams, req).id);
    await sendFile(res, path, 0);
  });

  router.get('/datasets/:sha256', async (req, res) => {
    const { from } = readQuery(fromQuery, req);
    const { originalPath } = datasets.forJob(readParams(datasetParams, req).sha256);
    await sendFile(res, originalPath, from);
  });

  return router;
}

const workerOf = (res: Response) => res.locals['worker'] as string;

function bodyOf(req: Request): Buffer {
  if (!Buffer.isBuffer(req.body))
    throw new AppError('bad_request', 'the body: expected application/octet-stream');
  return req.body;
}

async function sendFile(res: Response, path: string, from: number): Promise<void> {
  const { size } = await stat(path);
  res.set('Content-Type', 'application/octet-stream');
  res.set('Content-Length', String(Math.max(0, size - from)));
  if (from >= size) {
    res.end();
    return;
  }
  await pipeline(createReadStream(path, { start: from }), res).catch((error: unknown) => {
    // The worker comes again for the rest.
    if (!res.destroyed) throw error;
  });
}
