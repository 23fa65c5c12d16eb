import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { BigIntStats } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { compiledProgram } from '../config/package-root.js';
import type { ConfinedFile } from '../storage/confined-fs/confined-handles.js';
import type { DigestAnswer, DigestTask } from './digest-thread-main.js';

const PROGRAM = compiledProgram('outputs/digest-thread-main.js');
/** Below this size, starting a thread takes longer than hashing. */
const smallBytes = 4 * 1024 * 1024;

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

/** Hashes on a thread: model weights take seconds to minutes. The caller keeps the descriptor. */
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
