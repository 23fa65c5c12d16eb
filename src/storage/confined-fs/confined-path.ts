import { fieldError } from '../../errors.js';

/** PATH_MAX of Linux. */
export const maxPathBytes = 4096;
const maxNameBytes = 255;

/**
 * Splits a caller's path inside a folder into names. `.` and doubled slashes are dropped, so `.`
 * alone gives no names and means the folder itself.
 * @throws AppError bad_request when the path is empty, absolute or too long for Linux, or holds
 *   `..` or NUL
 */
export function splitConfinedPath(relPath: string, field = 'path'): string[] {
  const refuse = (why: string) => fieldError('bad_request', field, why);
  if (relPath === '') throw refuse('is empty; give a path relative to the job’s folder');
  if (relPath.startsWith('/')) throw refuse('is absolute; give it relative to the job’s folder');
  if (relPath.includes('\0')) throw refuse('holds a NUL byte');
  // A lone surrogate has no UTF-8 form, so no file can have this name.
  if (/\p{Surrogate}/u.test(relPath)) throw refuse('is not valid Unicode');
  if (Buffer.byteLength(relPath) > maxPathBytes) throw refuse(`is over ${maxPathBytes} bytes long`);
  const names = relPath.split('/').filter((name) => name !== '' && name !== '.');
  for (const name of names) {
    if (name === '..') throw refuse('holds “..”; give it relative to the job’s folder');
    if (Buffer.byteLength(name) > maxNameBytes)
      throw refuse(`holds a name of over ${maxNameBytes} bytes`);
  }
  return names;
}
