import { unwatchFile, watch, watchFile } from 'node:fs';
import { dirname } from 'node:path';

/** Calls `tell` when the epilog of this machine touches the file. @returns what stops that. */
export function watchEpilog(file: string): (tell: () => void) => () => void {
  return (tell) => {
    const watcher = watch(dirname(file), () => tell());
    return () => watcher.close();
  };
}

/** How often the file is looked at: no file system tells of what another machine does. */
const lookMs = 1000;

/** Calls `tell` when a job's script, on whichever machine, touches the file. @returns what stops that. */
export function watchShared(file: string): (tell: () => void) => () => void {
  return (tell) => {
    const listener = (now: { mtimeMs: number }, before: { mtimeMs: number }) => {
      if (now.mtimeMs !== before.mtimeMs) tell();
    };
    watchFile(file, { interval: lookMs, persistent: false }, listener);
    return () => unwatchFile(file, listener);
  };
}
