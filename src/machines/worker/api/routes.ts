import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Response } from 'express';
import { z } from 'zod';
import { workerJobSchema } from '../../../cluster/workers/record.js';
import type { WorkerList } from '../../../cluster/workers/worker-list.js';
import { sha256Schema, type Sha256 } from '../../../datasets/digest.js';
import { AppError } from '../../../errors.js';
import { Api, type Guard } from '../../../http/api.js';
import { endpoint } from '../../../http/endpoint.js';
import { noTimeout } from '../../../http/long-reply.js';
import { json, streamedReply } from '../../../http/reply.js';
import { bytes, jsonBody } from '../../../http/request-body.js';
import type { JobId } from '../../../jobs/job.js';
import type { WorkerService } from './service.js';

const wholeNumber = z
  .string()
  .regex(/^\d{1,15}$/, 'expected a whole number')
  .transform(Number);
const params = z.object({ id: wholeNumber.transform((id) => id as JobId) });
const logParams = params.extend({ stream: z.enum(['stdout', 'stderr']) });
const datasetParams = z.object({ sha256: sha256Schema });
const offsetQuery = z.strictObject({ offset: wholeNumber });
const fromQuery = z.strictObject({ from: wholeNumber.default(0) });
const beginBody = z.strictObject({ slurm_job_id: z.number().int().min(1) });
const deliverBody = z.strictObject({ sha256: sha256Schema });
const problemBody = z.strictObject({ message: z.string().min(1).max(2000) });

const jobReply = json(workerJobSchema.strict());
const sizeReply = json(z.strictObject({ size: z.int().describe('Bytes that are here now.') }));
const fileReply = streamedReply('application/octet-stream', { 200: 'The file, or its rest.' });

/** More than the agents of workers send at once. */
const chunk = bytes(16 * 1024 ** 2);

interface WorkerRouteParts {
  workers: Pick<WorkerList, 'holderOf'>;
  service: WorkerService;
  datasets: { forJob(sha: Sha256): { originalPath: string } };
}

/** The endpoints under `/workers`, for the agents of workers, each with its own token. */
export function workerApi({ workers, service, datasets }: WorkerRouteParts): Api {
  const api = new Api({ worker: guardOf(workers) });

  endpoint(
    api,
    {
      method: 'get',
      path: '/workers/jobs/{id}',
      role: 'worker',
      summary: 'Show a worker a job that it runs',
      params,
      reply: jobReply,
      errors: ['not_found'],
    },
    ({ params: { id }, res }) => service.look(workerOf(res), id),
  );

  endpoint(
    api,
    {
      method: 'post',
      path: '/workers/jobs/{id}/begin',
      role: 'worker',
      summary: 'Begin a job on a worker',
      params,
      body: jsonBody(beginBody),
      reply: jobReply,
      errors: ['not_found', 'conflict', 'shutting_down'],
    },
    ({ params: { id }, body: { slurm_job_id }, res }) =>
      service.begin(workerOf(res), id, slurm_job_id),
  );

  endpoint(
    api,
    {
      method: 'put',
      path: '/workers/jobs/{id}/log/{stream}',
      role: 'worker',
      summary: 'Append to a job’s log',
      params: logParams,
      query: offsetQuery,
      body: chunk,
      reply: sizeReply,
      errors: ['not_found', 'forbidden', 'conflict', 'shutting_down'],
    },
    ({ params: { id, stream }, query: { offset }, body, res }) =>
      service.appendLog(workerOf(res), id, stream, offset, body),
  );

  endpoint(
    api,
    {
      method: 'put',
      path: '/workers/jobs/{id}/outputs',
      role: 'worker',
      summary: 'Append to the archive of a job’s outputs',
      params,
      query: offsetQuery,
      body: chunk,
      reply: sizeReply,
      errors: ['not_found', 'forbidden', 'conflict', 'shutting_down'],
    },
    ({ params: { id }, query: { offset }, body, res }) =>
      service.appendOutputs(workerOf(res), id, offset, body),
  );

  endpoint(
    api,
    {
      method: 'post',
      path: '/workers/jobs/{id}/outputs',
      role: 'worker',
      summary: 'Deliver a job’s outputs after their whole archive',
      params,
      body: jsonBody(deliverBody),
      reply: json(z.strictObject({ delivered: z.literal(true) })),
      errors: [
        'not_found',
        'forbidden',
        'conflict',
        'sha256_mismatch',
        'archive_refused',
        'shutting_down',
      ],
    },
    async ({ params: { id }, body: { sha256 }, res }) => {
      noTimeout(res);
      await service.deliver(workerOf(res), id, sha256);
      return { delivered: true as const };
    },
  );

  endpoint(
    api,
    {
      method: 'post',
      path: '/workers/jobs/{id}/problem',
      role: 'worker',
      summary: 'Report a problem of a job on a worker',
      params,
      body: jsonBody(problemBody),
      reply: json(z.strictObject({ noted: z.literal(true) })),
      errors: ['not_found', 'forbidden', 'conflict'],
    },
    ({ params: { id }, body: { message }, res }) => {
      service.problem(workerOf(res), id, message);
      return { noted: true as const };
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/workers/jobs/{id}/script',
      role: 'worker',
      summary: 'Download the script that came with a job',
      params,
      reply: fileReply,
      errors: ['not_found', 'forbidden', 'conflict'],
    },
    ({ params: { id }, res }) => sendFile(res, service.scriptOf(workerOf(res), id), 0),
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/workers/datasets/{sha256}',
      role: 'worker',
      summary: 'Download a dataset as it was uploaded',
      params: datasetParams,
      query: fromQuery,
      reply: fileReply,
      errors: ['not_found', 'dataset_corrupt'],
    },
    ({ params: { sha256 }, query: { from }, res }) =>
      sendFile(res, datasets.forJob(sha256).originalPath, from),
  );

  return api;
}

function guardOf(workers: Pick<WorkerList, 'holderOf'>): Guard {
  return (req, res) => {
    const token = /^Bearer (\S+)$/.exec(req.get('authorization') ?? '')?.[1];
    const worker = token === undefined ? undefined : workers.holderOf(token);
    if (worker === undefined)
      throw new AppError('unauthorized', 'this endpoint needs a worker’s token');
    res.locals['worker'] = worker.name;
  };
}

const workerOf = (res: Response) => res.locals['worker'] as string;

async function sendFile(res: Response, path: string, from: number): Promise<void> {
  const { size } = await stat(path);
  res.set('Content-Type', 'application/octet-stream');
  res.set('Content-Length', String(Math.max(0, size - from)));
  if (from >= size) {
    res.end();
    return;
  }
  await pipeline(createReadStream(path, { start: from }), res).catch((error: unknown) => {
    // The worker will ask for the rest.
    if (!res.destroyed) throw error;
  });
}
