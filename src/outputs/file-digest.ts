import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import type { ConfinedFile } from '../storage/confined-fs/confined-handles.js';
import type { DigestThreads } from './digest-threads.js';

/** Up to this size, hashing delays the event loop less than a turn of a thread delays the file. */
const smallBytes = 256 * 1024;

/**
 * Makes a text that changes whenever a file's content may have. It includes the ctime: a job can
 * set back the other times, but not that one. It omits the device, since a volume's number changes
 * with each start.
 */
export function fingerprintOf(stats: BigIntStats): string {
  return [stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].map((n) => n.toString(36)).join('-');
}

/** Milliseconds since 1970, limited to a Date's range: a job can set any time. */
export function modifiedAt(stats: BigIntStats): number {
  const latest = 8.64e15;
  return Math.max(-latest, Math.min(latest, Number(stats.mtimeMs)));
}

/**
 * Tells whether a file seems to be nearly all holes. True also for files that were just written on
 * ZFS, which counts blocks late.
 */
export function isMostlyHoles(stats: BigIntStats): boolean {
  return stats.blocks * 512n * 16n < stats.size;
}

/**
 * Computes an opened file's SHA-256 in hex; undefined when the file changed meanwhile.
 * @throws AbortError when the signal is aborted
 */
export async function digestFile(
  file: ConfinedFile,
  threads: DigestThreads,
  signal: AbortSignal,
): Promise<string | undefined> {
  signal.throwIfAborted();
  const size = Number(file.stats.size);
  const digest =
    size > smallBytes
      ? await threads.digest(file.handle.fd, size, signal)
      : createHash('sha256')
          .update(await readAll(file, size))
          .digest('hex');
  const now = await file.handle.stat({ bigint: true });
  return fingerprintOf(now) === fingerprintOf(file.stats) ? digest : undefined;
}

async function readAll({ handle }: ConfinedFile, size: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(size);
  let length = 0;
  while (length < size) {
    const { bytesRead } = await handle.read(buffer, length, size - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}
