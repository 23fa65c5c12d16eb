import { readFileSync } from 'node:fs';
import { errnoOf } from '../../errors.js';
import { readUnixUsers } from '../../config/unix-users.js';

/**
 * Returns the user of a process: a name, or `uid N` if it has none here. Undefined if there is no
 * such process in this container, as for a process of the host.
 */
export function ownerOf(pid: number): string | undefined {
  const uid = /^Uid:\s*(\d+)/m.exec(readOrEmpty(`/proc/${pid}/status`))?.[1];
  if (uid === undefined) return undefined;
  const user = [...readUnixUsers().values()].find((one) => one.uid === Number(uid));
  return user?.name ?? `uid ${uid}`;
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes(errnoOf(error) ?? '')) return '';
    throw error;
  }
}
