import { constants } from 'node:os';

/** The end of the local process, by which Slurm learns the end of the job on the host. */
export type Ending = { code: number } | { signal: number };

/**
 * EX_TEMPFAIL of sysexits.h: the host failed, and not the job. `JobLog.hostFailed` has the reason.
 */
export const HOST_FAILED = 75;

/** Ends this process as the job ended: by the same signal, where that ends a process. */
export function endAs(ending: Ending): void {
  if ('code' in ending) {
    process.exitCode = ending.code;
    return;
  }
  const name = Object.entries(constants.signals).find(
    ([, number]) => number === ending.signal,
  )?.[0];
  process.exitCode = 128 + ending.signal;
  if (name === undefined) return;
  process.removeAllListeners(name);
  process.kill(process.pid, name);
}
