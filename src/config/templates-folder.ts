import { statSync } from 'node:fs';
import { ConfigError } from './config-error.js';

/**
 * Checks that JR_TEMPLATES may be a folder: one that does not exist yet may be made later.
 * @throws ConfigError
 */
export function refuseNoFolder(path: string | undefined): void {
  const stat = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
  if (stat !== undefined && !stat.isDirectory())
    throw new ConfigError(`JR_TEMPLATES: ${path} is no folder; name the folder of your templates`);
}
