import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const nameOf = (pid: number) => `p${pid}`;

/** A folder for what lives as long as this process: named after it, so that another can tell when nobody needs it any more. */
export function makeScratch(state: string): { path: string; remove: () => void } {
  const path = join(state, nameOf(process.pid));
  const remove = () => {
    rmSync(path, { recursive: true, force: true });
  };
  // An earlier process of this number was killed.
  remove();
  mkdirSync(path, { mode: 0o700 });
  return { path, remove };
}

/** Removes what killed processes have left. */
export function sweepScratch(state: string): void {
  for (const name of readdirSync(state)) {
    const pid = /^p(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      rmSync(join(state, name), { recursive: true, force: true });
  }
}
