import { createHash, type Hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

// A thread that hashes opened files by slices: it takes DigestTasks, and answers each `hash` in
// order with a DigestAnswer.

/** The next slice of the file `id`, or its end before the whole was hashed. */
export type DigestTask = { id: number } & (
  { kind: 'hash'; fd: number; from: number; to: number; isLast: boolean } | { kind: 'drop' }
);

export interface DigestAnswer {
  id: number;
  /** SHA-256 in lower-case hexadecimal, after the last slice. */
  digest?: string;
  error?: { message: string; code?: string | undefined };
}

const hashes = new Map<number, Hash>();
const buffer = Buffer.allocUnsafeSlow(1024 * 1024);

parentPort?.on('message', (task: DigestTask) => {
  if (task.kind === 'drop') hashes.delete(task.id);
  else parentPort?.postMessage({ id: task.id, ...answerTo(task) } satisfies DigestAnswer);
});

function answerTo(task: DigestTask & { kind: 'hash' }): Omit<DigestAnswer, 'id'> {
  try {
    const hash = hashes.get(task.id) ?? createHash('sha256');
    hashes.set(task.id, hash);
    update(hash, task);
    if (!task.isLast) return {};
    hashes.delete(task.id);
    return { digest: hash.digest('hex') };
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    return { error: { message, code } };
  }
}

/** Adds the slice; fewer bytes when the file ends earlier. */
function update(hash: Hash, { fd, from, to }: { fd: number; from: number; to: number }): void {
  for (let position = from; position < to;) {
    const length = readSync(fd, buffer, 0, Math.min(buffer.length, to - position), position);
    if (length === 0) return;
    hash.update(buffer.subarray(0, length));
    position += length;
  }
}
