import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../config/config-error.js';
import { externalProgramNames, type ExternalProgram } from '../slurm/external/commands.js';

/**
 * Finds the external cluster's commands.
 * @param path as in the environment
 * @throws ConfigError naming the missing commands
 */
export function findPrograms(path: string): Record<ExternalProgram, string> {
  const folders = path.split(':').filter((folder) => folder.startsWith('/'));
  const found = externalProgramNames.map((name) => {
    const file = folders.map((folder) => join(folder, name)).find(isProgram);
    return [name, file] as const;
  });
  const missing = found.filter(([, file]) => file === undefined).map(([name]) => name);
  if (missing.length > 0)
    throw new ConfigError(
      `JR_SLURM_MODE: is external, and PATH (${path}) has no ${missing.join(', ')}; install Slurm’s client commands, or set JR_SLURMRESTD_URL`,
    );
  return Object.fromEntries(found) as Record<ExternalProgram, string>;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // Any error means that the program cannot be run.
    return false;
  }
}
