import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { BigIntStats } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { compiledProgram } from '../config/package-root.js';
import type { ConfinedFile } from '../storage/confined-fs/confined-files.js';
import type { DigestAnswer, DigestTask } from './digest-thread-main.js';

const PROGRAM = compiledProgram('outputs/digest-thread-main.js');
/** Up to here a thread takes longer to start than the hash. */
const smallBytes = 4 * 1024 * 1024;

/**
 * Changes whenever a file's content may have: a job can set a file's times back, but not its ctime.
 * The device is left out, since a volume gets another number on the next start.
 */
export function fingerprintOf(stats: BigIntStats): string {
  return [stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].map((n) => n.toString(36)).join('-');
}

/** Milliseconds since 1970, held to what a Date takes: a job can claim any time. */
export function modifiedAt(stats: BigIntStats): number {
  const latest = 8.64e15;
  return Math.max(-latest, Math.min(latest, Number(stats.mtimeMs)));
}

/** True for a file that seems nearly all holes (or was written a moment ago on ZFS, which counts blocks late). */
export function isMostlyHoles(stats: BigIntStats): boolean {
  return stats.blocks * 512n * 16n < stats.size;
}

/**
 * SHA-256 of an opened file in hex; undefined when the file changed meanwhile.
 * @throws AbortError when the signal is aborted.
 */
export async function digestFile(
  file: ConfinedFile,
  signal: AbortSignal,
): Promise<string | undefined> {
  signal.throwIfAborted();
  const size = Number(file.stats.size);
  const digest =
    size > smallBytes
      ? await digestOnThread(file, size, signal)
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

/** Hashes beside the event loop: weights take seconds to minutes. The descriptor stays ours. */
async function digestOnThread(
  { handle }: ConfinedFile,
  size: number,
  signal: AbortSignal,
): Promise<string> {
  const workerData: DigestTask = { fd: handle.fd, size };
  const worker = new Worker(PROGRAM, { workerData, env: {}, execArgv: [] });
  try {
    const [digest] = (await once(worker, 'message', { signal })) as [DigestAnswer];
    return digest;
  } finally {
    await worker.terminate();
  }
}
