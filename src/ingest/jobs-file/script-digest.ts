import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { errnoOf, fieldError } from '../../errors.js';
import { excerpt } from './job-line.js';

/** A larger file is hardly a script. */
const maxScriptBytes = 64 * 1024 ** 2;

/**
 * Computes the SHA-256 of a script’s content, in hex: a changed script makes another job.
 * @throws AppError unprocessable when the script is missing, not a file, too large, or unreadable
 *   for the service
 */
export async function scriptDigest(path: string): Promise<string> {
  const refuse = (why: string, cause?: unknown): never => {
    throw fieldError('unprocessable', 'script_path', `${excerpt(path)} ${why}`, { cause });
  };
  let file: FileHandle;
  try {
    // O_NONBLOCK: a pipe would otherwise wait for a writer.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return refuse('does not exist');
    if (code === 'EACCES')
      return refuse(
        'cannot be read by the service: make it readable (chmod o+r), and the folders above it open (chmod o+x)',
      );
    return refuse(`cannot be opened (${code ?? 'unknown error'})`, error);
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) return refuse('is not a regular file');
    if (stat.size > maxScriptBytes)
      return refuse(`is larger than ${maxScriptBytes / 1024 ** 2} MiB; is it a script?`);
    const hash = createHash('sha256');
    const stream = file.createReadStream({ autoClose: false, end: maxScriptBytes });
    for await (const chunk of stream) hash.update(chunk as Buffer);
    return hash.digest('hex');
  } finally {
    await file.close();
  }
}
