import type { Database } from '../../db/database.js';
import * as store from './store.js';

/** What of a running job matters here. */
export interface RunningJob {
  startedAt: number | null;
  gpus: readonly number[];
}

/**
 * True when none of the job's GPUs has done anything for that long, as far as every look at them tells.
 * @param lookMs time between two looks: what was not looked at is not called idle
 */
export function isIdle(
  db: Database,
  job: RunningJob,
  { now, idleMs, lookMs }: { now: number; idleMs: number; lookMs: number },
): boolean {
  const since = now - idleMs;
  if (job.gpus.length === 0 || job.startedAt === null || job.startedAt > since) return false;
  return job.gpus.every((index) => {
    const work = store.workSince(db, index, since);
    return work !== undefined && work.isIdle && work.firstAt <= since + 3 * lookMs;
  });
}

export function idleWarning(minutes: number, gpus: number): string {
  const time = minutes === 1 ? '1 minute' : `${minutes} minutes`;
  return gpus === 1
    ? `its GPU has done nothing for ${time}`
    : `its GPUs have done nothing for ${time}`;
}
