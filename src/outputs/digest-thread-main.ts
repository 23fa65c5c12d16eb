import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

// The thread that hashes one opened file: it takes a DigestTask, posts the DigestAnswer, and ends.

export interface DigestTask {
  fd: number;
  /** Most bytes to hash; fewer when the file ends earlier. */
  size: number;
}

/** SHA-256 in lower-case hexadecimal. */
export type DigestAnswer = string;

const { fd, size } = workerData as DigestTask;
const hash = createHash('sha256');
const buffer = Buffer.allocUnsafeSlow(1024 * 1024);
for (let position = 0; position < size;) {
  const length = readSync(fd, buffer, 0, Math.min(buffer.length, size - position), position);
  if (length === 0) break;
  hash.update(buffer.subarray(0, length));
  position += length;
}
parentPort?.postMessage(hash.digest('hex') satisfies DigestAnswer);
