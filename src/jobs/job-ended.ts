import { unwatchFile, watch, watchFile } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Calls `tell` when the epilog of this machine touches the file.
 * @returns a function that stops this
 */
export function watchEpilog(file: string): (tell: () => void) => () => void {
  return (tell) => {
    const watcher = watch(dirname(file), () => tell());
    return () => watcher.close();
  };
}

/** Interval of checks, in milliseconds: no file system reports the changes of other machines. */
const pollMs = 1000;

/**
 * Calls `tell` when a job's script, on any machine, touches the file.
 * @returns a function that stops this
 */
export function watchShared(file: string): (tell: () => void) => () => void {
  return (tell) => {
    const listener = (now: { mtimeMs: number }, before: { mtimeMs: number }) => {
      if (now.mtimeMs !== before.mtimeMs) tell();
    };
    watchFile(file, { interval: pollMs, persistent: false }, listener);
    return () => unwatchFile(file, listener);
  };
}
