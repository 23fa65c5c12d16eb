import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../config/package-root.js';
import type { JobRequest } from '../job.js';
import { shellQuote } from './shell-quote.js';
import { failFunction } from './environment.js';

/** Activates the job's conda or virtual environment; a missing one ends the job before its command runs. */
export function activation({ conda_env: condaEnv, venv }: JobRequest): string[] {
  if (condaEnv === undefined && venv === undefined) return [];
  return [
    failFunction,
    readFileSync(join(packageRoot, 'libexec', 'activate.sh'), 'utf8'),
    ...(condaEnv === undefined ? [] : [`jr_activate_conda ${shellQuote(condaEnv)}`]),
    ...(venv === undefined ? [] : [`jr_activate_venv ${shellQuote(venv)}`]),
    'unset -f jr_fail jr_find_conda jr_conda_hook jr_activate_conda jr_activate_venv',
  ];
}
