import { statfsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';

/** Returns the bytes that users other than root may still take on the folder's disk. */
export async function freeSpace(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** The same, at once. */
export function freeSpaceNow(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
