import { z } from 'zod';
import { callerOf } from '../../auth/caller.js';
import { NODE_NAME } from '../../config/layout.js';
import type { ErrorCode } from '../../errors.js';
import type { Api } from '../../http/api.js';
import { endpoint } from '../../http/endpoint.js';
import { json } from '../../http/reply.js';
import { fields } from '../../http/request-body.js';
import { gpuReplySchema, workerGpuReplySchema, type WorkerGpusView } from '../gpus/replies.js';
import { gpuIndex, pauseBody, resumeBody } from '../gpus/routes.js';
import type { GpuPauses } from '../gpus/pauses.js';
import type { GpuService } from '../gpus/service.js';

const params = z.object({
  name: z
    .string()
    .regex(
      new RegExp(`^(${NODE_NAME}|worker\\d{1,2})$`),
      `expected ${NODE_NAME}, or the name of a worker such as worker1`,
    ),
  index: gpuIndex,
});
const node = z.string();
const reply = json(
  z.union([
    z.strictObject({ node, ...gpuReplySchema.shape }),
    z.strictObject({ node, ...workerGpuReplySchema.shape }),
  ]),
);
const errors: ErrorCode[] = ['not_found', 'conflict', 'slurm_unavailable'];

interface NodeGpuParts {
  gpus: GpuService;
  pauses: GpuPauses;
  /** Undefined if no worker may join. */
  viewWorkers: (() => WorkerGpusView[]) | undefined;
}

/**
 * Mounts `/nodes/{name}/gpus/{index}/{pause,resume}` for the GPUs of workers. Requests for this
 * machine's GPUs do the same as `/gpus/{index}`.
 */
export function nodeGpuRoutes(api: Api, { gpus, pauses, viewWorkers }: NodeGpuParts): void {
  const show = (name: string, index: number) => {
    const gpu =
      name === NODE_NAME
        ? gpus.view().gpus.find((one) => one.index === index)
        : viewWorkers?.()
            .find((worker) => worker.node === name)
            ?.gpus.find((one) => one.index === index);
    if (gpu === undefined) throw new Error(`GPU ${index} of ${name} is gone`);
    return { node: name, ...gpu };
  };

  endpoint(
    api,
    {
      method: 'post',
      path: '/nodes/{name}/gpus/{index}/pause',
      role: 'admin',
      summary: 'Keep jobs off a GPU of any machine',
      params,
      body: fields(pauseBody),
      reply,
      errors,
    },
    async ({ params: { name, index }, body: { reason }, res }) => {
      await pauses.pause(name, index, callerOf(res).user, reason);
      return show(name, index);
    },
  );

  endpoint(
    api,
    {
      method: 'post',
      path: '/nodes/{name}/gpus/{index}/resume',
      role: 'admin',
      summary: 'Let jobs start on a GPU of any machine again',
      params,
      body: fields(resumeBody),
      reply,
      errors,
    },
    async ({ params: { name, index } }) => {
      await pauses.resume(name, index);
      return show(name, index);
    },
  );
}
