import { Router } from 'express';
import { z } from 'zod';
import { adminsOnly, callerOf } from '../../auth/caller.js';
import { AppError } from '../../errors.js';
import { anyBody, gpuIndex, pauseBody, resumeBody } from '../gpus/routes.js';
import type { GpuService } from '../gpus/service.js';
import { readBody, readParams } from '../../http/read-input.js';
import { NODE_NAME } from '../../config/layout.js';
import type { WorkerPauses } from './gpu-pauses.js';
import type { viewWorkerGpus } from './view.js';

const gpuParams = z.object({
  name: z.string().regex(/^worker\d{1,2}$/, 'expected the name of a node such as worker1'),
  index: gpuIndex,
});

interface NodeGpuParts {
  gpus: GpuService;
  /** Both undefined where no worker may join. */
  pauses: WorkerPauses | undefined;
  viewWorkers: (() => ReturnType<typeof viewWorkerGpus>) | undefined;
}

/** `/nodes/{name}/gpus/{i}/{pause,resume}`: the GPUs of any worker, this machine's as `/gpus/{i}` does it. */
export function nodeGpuRoutes({ gpus, pauses, viewWorkers }: NodeGpuParts): Router {
  const router = Router();

  const onWorkers = (): WorkerPauses => {
    if (pauses === undefined)
      throw new AppError('not_found', 'no worker may join here; JR_JOIN_PORT is not set');
    return pauses;
  };
  const show = (node: string, index: number) => {
    const there =
      node === NODE_NAME
        ? gpus.view().gpus
        : viewWorkers?.().find((worker) => worker.node === node)?.gpus;
    return { node, ...there?.find((gpu) => gpu.index === index) };
  };

  router.post('/nodes/:name/gpus/:index/pause', adminsOnly, ...anyBody, async (req, res) => {
    const { name, index } = readParams(gpuParams, req);
    const { reason } = readBody(pauseBody, req);
    const { user } = callerOf(res);
    if (name === NODE_NAME) await gpus.pause(index, user, reason);
    else await onWorkers().pause(name, index, user, reason);
    res.json(show(name, index));
  });

  router.post('/nodes/:name/gpus/:index/resume', adminsOnly, ...anyBody, async (req, res) => {
    const { name, index } = readParams(gpuParams, req);
    readBody(resumeBody, req);
    if (name === NODE_NAME) await gpus.resume(index);
    else await onWorkers().resume(name, index);
    res.json(show(name, index));
  });

  return router;
}
