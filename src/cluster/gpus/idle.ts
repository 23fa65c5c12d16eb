import type { Database } from '../../db/database.js';
import * as store from './usage-store.js';

/** The facts about a running job that decide whether it is idle. */
export interface RunningJob {
  startedAt: number | null;
  gpus: readonly number[];
}

/**
 * Tells whether none of the job's GPUs has worked for that long, according to every poll.
 * @param pollMs time between two polls; time without polls does not count as idle
 */
export function isIdle(
  db: Database,
  job: RunningJob,
  { now, idleMs, pollMs }: { now: number; idleMs: number; pollMs: number },
): boolean {
  const since = now - idleMs;
  if (job.gpus.length === 0 || job.startedAt === null || job.startedAt > since) return false;
  return job.gpus.every((index) => {
    const work = store.workSince(db, index, since);
    return work !== undefined && work.isIdle && work.firstAt <= since + 3 * pollMs;
  });
}

export function idleWarning(minutes: number, gpus: number): string {
  const time = minutes === 1 ? '1 minute' : `${minutes} minutes`;
  return gpus === 1 ? `its GPU has been idle for ${time}` : `its GPUs have been idle for ${time}`;
}
