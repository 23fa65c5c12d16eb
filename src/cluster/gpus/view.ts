import type { GpuFleet, GpuJob } from './choose.js';
import type { Monitor } from './monitor.js';
import type { GpusView, GpuView } from './replies.js';
import type { GpuPause } from './pause-store.js';
import { isoTime } from '../../iso-time.js';

/**
 * Shows the GPUs and their jobs as the API does. Memory in MiB, load in percent, temperature in
 * degrees Celsius.
 * @param scope the user whose jobs are shown with names; undefined for all users
 */
export function viewGpus(
  fleet: GpuFleet,
  live: readonly GpuJob[],
  pauses: readonly GpuPause[],
  monitor: Pick<Monitor, 'usage' | 'closure'>,
  scope?: string,
): Pick<GpusView, 'gpus' | 'waiting_anywhere'> {
  const jobs = live.flatMap((job) => {
    if (job.gpu_shards === null) return [];
    const { on, shards } = job.gpu_shards;
    const share = shards / fleet.shardsPerGpu;
    const isWaiting = job.state === 'PENDING' || job.state === 'SUBMITTING';
    return [{ job, on, share, isWaiting }];
  });
  const waiting = jobs.filter(({ isWaiting }) => isWaiting);
  const running = jobs.filter(({ isWaiting }) => !isWaiting);
  const gpus = fleet.gpus.map((gpu): GpuView => {
    const { index } = gpu;
    const pause = pauses.find((one) => one.gpu_index === index);
    const closure = monitor.closure(index);
    const seen = monitor.usage(index);
    const here = running.filter(({ job, on }) => (job.gpu_indices ?? on).includes(index));
    return {
      index,
      uuid: gpu.uuid,
      model: gpu.model,
      memory_mb: gpu.memoryMb,
      memory_used_mb: seen?.usage.memoryUsedMb ?? null,
      load: seen?.usage.load ?? null,
      temperature: seen?.usage.temperature ?? null,
      state: pause ? 'paused' : closure ? 'closed' : here.length > 0 ? 'in_use' : 'free',
      paused: pause
        ? { by: pause.paused_by, reason: pause.reason, since: isoTime(pause.paused_at) }
        : null,
      closed: closure ? { ...closure, since: isoTime(closure.since) } : null,
      jobs: here.map(({ job, share }) => viewRunning(job, share, scope)),
      waiting: waiting
        .filter(({ on }) => on.includes(index))
        .map(({ job, share }) => ({ job_id: job.job_id, share })),
      seen_at: seen ? isoTime(seen.seenAt) : null,
    };
  });
  return { gpus, waiting_anywhere: waiting.filter(({ on }) => on.length === 0).length };
}

/**
 * Shows a job on a GPU. The names of other users' jobs are private.
 * @param scope the user whose jobs are shown with names; undefined for all users
 */
export function viewRunning(
  { job_id, user, request }: Pick<GpuJob, 'job_id' | 'user'> & { request: { name: string } },
  share: number,
  scope: string | undefined,
): GpuView['jobs'][number] {
  const isShown = scope === undefined || scope === user;
  return {
    job_id,
    share,
    user: isShown ? user : null,
    name: isShown ? request.name : null,
  };
}
