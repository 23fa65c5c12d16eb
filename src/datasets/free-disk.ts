import { statfs } from 'node:fs/promises';
import { AppError } from '../errors.js';

const maxReserved = 512 * 2 ** 20;

/**
 * Returns the bytes that datasets may still take on this disk. A fiftieth of it, at most 512 MiB,
 * stays free for the database, the logs and the jobs. Negative once that reserve is in use.
 */
export async function freeForDatasets(folder: string): Promise<number> {
  const { bavail, blocks, bsize } = await statfs(folder);
  return bavail * bsize - Math.min(maxReserved, (blocks * bsize) / 50);
}

/** Checks for free space. @throws AppError disk_full if `bytes` more would not fit */
export async function ensureFree(folder: string, bytes: number): Promise<void> {
  const free = await freeForDatasets(folder);
  if (free < bytes) throw diskFull(undefined, { needed: bytes, free: Math.max(0, free) });
}

export function diskFull(cause?: unknown, details?: Record<string, unknown>): AppError {
  return new AppError(
    'disk_full',
    'the disk is too full for this dataset: delete datasets or results, then send it again',
    { ...(cause !== undefined && { cause }), ...(details && { details }) },
  );
}
