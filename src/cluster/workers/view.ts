import type { GpuPause } from '../gpus/pause-store.js';
import type { WorkerGpusView } from '../gpus/replies.js';
import type { GpuShards } from '../gpus/request.js';
import { viewRunning } from '../gpus/view.js';
import type { WorkerRecord } from './record.js';
import { isoTime } from '../../iso-time.js';

/** The facts about a live job that show which GPUs of a worker it has. */
export interface JobOnWorker {
  job_id: number;
  user: string;
  request: { name: string };
  node_list: string | null;
  gpu_shards: GpuShards | null;
  gpu_indices: number[] | null;
}

/**
 * Shows the GPUs of workers and their jobs, as `GET /gpus` lists them beside this machine's. Memory
 * in MiB.
 * @param scope the user whose jobs are shown with names; undefined for all users
 */
export function viewWorkerGpus(
  workers: readonly WorkerRecord[],
  live: readonly JobOnWorker[],
  shardsPerGpu: number,
  pauses: readonly GpuPause[],
  scope?: string,
): WorkerGpusView[] {
  return workers.map((worker) => {
    const here = live.filter((job) => job.node_list === worker.name && job.gpu_shards !== null);
    return {
      node: worker.name,
      gpus: worker.gpus.map(({ model, memory_mb }, index) => {
        const pause = pauses.find((one) => one.node === worker.name && one.gpu_index === index);
        const jobs = here.filter((job) => job.gpu_indices?.includes(index));
        return {
          index,
          model,
          memory_mb,
          state: pause ? 'paused' : jobs.length > 0 ? 'in_use' : 'free',
          paused: pause
            ? {
                by: pause.paused_by,
                reason: pause.reason,
                since: isoTime(pause.paused_at),
              }
            : null,
          jobs: jobs.map((job) =>
            viewRunning(job, (job.gpu_shards?.shards ?? 0) / shardsPerGpu, scope),
          ),
        };
      }),
    };
  });
}
