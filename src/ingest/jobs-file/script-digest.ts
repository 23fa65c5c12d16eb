import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { AppError, errnoOf } from '../../errors.js';
import { excerpt } from './job-line.js';

/** What is larger is hardly a script. */
const maxScriptBytes = 64 * 1024 ** 2;

/**
 * SHA-256 of a script's content, in hex: a changed script is another job.
 * @throws AppError unprocessable when it is missing, no file, too large, or closed to the service.
 */
export async function scriptDigest(path: string): Promise<string> {
  const refuse = (why: string, cause?: unknown): never => {
    throw new AppError('unprocessable', `script_path: ${excerpt(path)} ${why}`, { cause });
  };
  let file: FileHandle;
  try {
    // Without waiting for a writer, should it be a pipe.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return refuse('is not there');
    if (code === 'EACCES')
      return refuse(
        'cannot be read by the service: make it readable (chmod o+r), and the folders above it open (chmod o+x)',
      );
    return refuse(`cannot be opened (${code ?? 'unknown error'})`, error);
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) return refuse('is no regular file');
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
