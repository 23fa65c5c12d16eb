import { randomBytes } from 'node:crypto';
import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { ConfigError } from '../../config/config-error.js';

/** Makes the twelve characters that name this JobRunner's folders on SSH hosts. */
export function newInstallationId(): string {
  return randomBytes(6).toString('hex');
}

/**
 * Reads this JobRunner's name on SSH hosts. It becomes part of paths that are removed there, so
 * nobody but root may have written it.
 * @throws ConfigError for a file that root did not make, or other content
 */
export function readInstallationId(path: string): string {
  if (!existsSync(path))
    throw new ConfigError(`${path}: is missing; the start of the stack makes it`);
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { uid, mode } = fstatSync(file);
    const id = readFileSync(file, 'utf8');
    if (uid !== 0 || (mode & 0o022) !== 0 || !/^[0-9a-f]{12}$/.test(id))
      throw new ConfigError(`${path}: root did not make this file; remove it, and start again`);
    return id;
  } finally {
    closeSync(file);
  }
}
