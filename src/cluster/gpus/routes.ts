import express, { Router } from 'express';
import multer from 'multer';
import { z } from 'zod';
import { adminsOnly, callerOf, scopeOf } from '../../auth/caller.js';
import { readBody, readParams, readQuery } from '../../http/read-input.js';
import type { GpuService } from './service.js';
import { isoTime } from '../../iso-time.js';

const bodyBytes = 64 * 1024;

export const gpuIndex = z
  .string()
  .regex(/^\d{1,4}$/, 'expected the index of a GPU such as 0')
  .transform(Number);
const gpuParams = z.object({ index: gpuIndex });
export const pauseBody = z.strictObject({
  reason: z
    .string()
    .regex(
      /^[^\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]{1,200}$/u,
      'expected 1 to 200 characters, no control characters',
    )
    .default('paused over the API'),
});
export const resumeBody = z.strictObject({});
const historyQuery = z.strictObject({
  since: z
    .string()
    .transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : Date.parse(text)))
    .refine(
      (ms) => !Number.isNaN(ms),
      'expected milliseconds since 1970, or a time such as 2026-01-31T12:00:00Z',
    )
    .default(0),
});

/** JSON, or form fields as `curl -d` and `curl -F` send them. */
export const anyBody: express.RequestHandler[] = [
  express.json({ limit: bodyBytes }),
  express.urlencoded({ extended: false, limit: bodyBytes }),
  multer({ limits: { fields: 10, fieldNameSize: 100, fieldSize: bodyBytes } }).none(),
];

/**
 * `/gpus`: what is on them, pausing and resuming.
 * @param onWorkers what is on those of other machines; undefined where there are no such machines
 */
export function gpuRoutes(gpus: GpuService, onWorkers?: () => object[]): Router {
  const router = Router();
  const indexOf = (req: express.Request) => readParams(gpuParams, req).index;
  const show = (index: number) => gpus.view().gpus.find((gpu) => gpu.index === index);

  router.get('/', (_req, res) => {
    const here = gpus.view(scopeOf(callerOf(res)));
    res.json(onWorkers === undefined ? here : { ...here, workers: onWorkers() });
  });

  router.get('/:index/history', (req, res) => {
    const { since } = readQuery(historyQuery, req);
    const samples = gpus.history(indexOf(req), since);
    res.json({
      samples: samples.map((sample) => ({ ...sample, at: isoTime(sample.at) })),
    });
  });

  router.post('/:index/pause', adminsOnly, ...anyBody, async (req, res) => {
    const index = indexOf(req);
    await gpus.pause(index, callerOf(res).user, readBody(pauseBody, req).reason);
    res.json(show(index));
  });

  router.post('/:index/resume', adminsOnly, ...anyBody, async (req, res) => {
    const index = indexOf(req);
    readBody(resumeBody, req);
    await gpus.resume(index);
    res.json(show(index));
  });

  return router;
}
