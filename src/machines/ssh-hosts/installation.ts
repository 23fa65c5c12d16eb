import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../errors.js';

/**
 * Returns twelve characters that name this JobRunner's folders on a host; made at the first call.
 */
export function installationId(stateFolder: string): string {
  const path = join(stateFolder, 'installation');
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  const own = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(own, randomBytes(6).toString('hex'), { mode: 0o400, flush: true });
  try {
    linkSync(own, path);
  } catch (error) {
    // Another job's process was quicker.
    if (errnoOf(error) !== 'EEXIST') throw error;
  } finally {
    unlinkSync(own);
  }
  return readFileSync(path, 'utf8');
}
