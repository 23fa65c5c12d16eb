import { z } from 'zod';
import { callerOf, scopeOf } from '../../auth/caller.js';
import type { Api, Endpoint } from '../../http/api.js';
import { endpoint } from '../../http/endpoint.js';
import { json } from '../../http/reply.js';
import { fields } from '../../http/request-body.js';
import { isoTime } from '../../iso-time.js';
import { reasonSchema } from '../reason.js';
import {
  gpuReplySchema,
  gpusReplySchema,
  historyReplySchema,
  type GpuView,
  type WorkerGpusView,
} from './replies.js';
import { NODE_NAME } from '../../config/layout.js';
import type { GpuPauses } from './pauses.js';
import type { GpuService } from './service.js';

export const gpuIndex = z
  .string()
  .regex(/^\d{1,4}$/, 'expected the index of a GPU such as 0')
  .transform(Number);
const params = z.object({ index: gpuIndex });
export const pauseBody = z.strictObject({ reason: reasonSchema.default('paused over the API') });
export const resumeBody = z.strictObject({});
const historyQuery = z.strictObject({
  since: z
    .string()
    .transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : Date.parse(text)))
    .refine(
      (ms) => !Number.isNaN(ms),
      'expected milliseconds since 1970, or a time such as 2026-01-31T12:00:00Z',
    )
    .default(0)
    .describe('Milliseconds since 1970, or a time such as 2026-01-31T12:00:00Z.'),
});

/** Endpoints of one GPU; those of an external cluster only refuse. */
export const gpuEndpoints = {
  history: {
    method: 'get',
    path: '/gpus/{index}/history',
    role: 'reader',
    summary: 'Show a GPU’s usage in the last day',
    params,
    query: historyQuery,
    reply: json(historyReplySchema),
    errors: ['not_found'],
  },
  pause: {
    method: 'post',
    path: '/gpus/{index}/pause',
    role: 'admin',
    summary: 'Keep jobs off a GPU of this machine',
    params,
    body: fields(pauseBody),
    reply: json(gpuReplySchema),
    errors: ['not_found', 'conflict', 'slurm_unavailable'],
  },
  resume: {
    method: 'post',
    path: '/gpus/{index}/resume',
    role: 'admin',
    summary: 'Let jobs start on a GPU of this machine again',
    params,
    body: fields(resumeBody),
    reply: json(gpuReplySchema),
    errors: ['not_found', 'conflict', 'slurm_unavailable'],
  },
} as const satisfies Record<string, Endpoint>;

/**
 * Mounts `/gpus`, which shows, pauses and resumes GPUs.
 * @param onWorkers shows the GPUs of workers; undefined if no worker may join
 */
export function gpuRoutes(
  api: Api,
  gpus: GpuService,
  pauses: GpuPauses,
  onWorkers?: (scope: string | undefined) => WorkerGpusView[],
): void {
  endpoint(
    api,
    {
      method: 'get',
      path: '/gpus',
      role: 'reader',
      summary: 'Show the GPUs and their jobs',
      reply: json(gpusReplySchema),
      errors: [],
    },
    ({ res }) => {
      const scope = scopeOf(callerOf(res));
      const here = gpus.view(scope);
      return onWorkers === undefined ? here : { ...here, workers: onWorkers(scope) };
    },
  );

  endpoint(api, gpuEndpoints.history, ({ params: { index }, query: { since } }) => {
    const samples = gpus.history(index, since);
    return {
      samples: samples.map((sample) => ({ ...sample, at: isoTime(sample.at) })),
    };
  });

  const show = (index: number): GpuView => {
    const view = gpus.view().gpus.find((gpu) => gpu.index === index);
    if (view === undefined) throw new Error(`GPU ${index} is gone`);
    return view;
  };

  endpoint(api, gpuEndpoints.pause, async ({ params: { index }, body, res }) => {
    await pauses.pause(NODE_NAME, index, callerOf(res).user, body.reason);
    return show(index);
  });

  endpoint(api, gpuEndpoints.resume, async ({ params: { index } }) => {
    await pauses.resume(NODE_NAME, index);
    return show(index);
  });
}
