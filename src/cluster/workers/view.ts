import { readGres } from '../gpus/request.js';
import type { BoxPause } from './gpu-pauses-store.js';
import type { BoxRecord } from './record.js';
import { isoTime } from '../../iso-time.js';

/** What is to be known of a job that has not ended, to say on which GPUs of a box it is. */
export interface JobOnBox {
  job_id: number;
  node_list: string | null;
  gres: string | null;
  gpu_indices: number[] | null;
}

/** The GPUs of worker boxes and the jobs on them, as `GET /gpus` shows them beside this machine's own. Memory in MiB. */
export function viewBoxGpus(
  boxes: readonly BoxRecord[],
  live: readonly JobOnBox[],
  shardsPerGpu: number,
  pauses: readonly BoxPause[],
) {
  return boxes.map((box) => {
    const here = live.filter((job) => job.node_list === box.name && job.gres !== null);
    return {
      node: box.name,
      gpus: box.gpus.map(({ model, memory_mb }, index) => {
        const pause = pauses.find((one) => one.node === box.name && one.gpu_index === index);
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
          jobs: jobs.map(({ job_id, gres }) => ({
            job_id,
            share: readGres(gres ?? '').shards / shardsPerGpu,
          })),
        };
      }),
    };
  });
}
