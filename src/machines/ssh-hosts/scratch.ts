import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const nameOf = (pid: number) => `p${pid}`;

/**
 * Makes a folder that lives as long as this process. Its name is the process id, so that others see
 * when it is unused.
 */
export function makeScratch(state: string): { path: string; remove: () => void } {
  const path = join(state, nameOf(process.pid));
  const remove = () => {
    rmSync(path, { recursive: true, force: true });
  };
  // Left by a killed process with the same number.
  remove();
  mkdirSync(path, { mode: 0o700 });
  return { path, remove };
}

/** Removes the folders of killed processes. */
export function sweepScratch(state: string): void {
  for (const name of readdirSync(state)) {
    const pid = /^p(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      rmSync(join(state, name), { recursive: true, force: true });
  }
}
