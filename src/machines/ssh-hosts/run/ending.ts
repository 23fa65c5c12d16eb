import { constants } from 'node:os';

/** How a job's process here is to end, so that Slurm tells what happened there. */
export type Ending = { code: number } | { signal: number };

/** EX_TEMPFAIL of sysexits.h: the host, and not the job, is why it came to nothing. What it was, `JobLog.hostFailed` was told. */
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
