import type { JobRequest } from '../job.js';
import { shellQuote } from './shell-quote.js';

/**
 * Activates the job's conda or virtual environment; a missing one ends the job before its command
 * runs.
 */
export function activation({ conda_env: condaEnv, venv }: JobRequest): string[] {
  return [
    ...(condaEnv === undefined ? [] : [`jr_activate_conda ${shellQuote(condaEnv)}`]),
    ...(venv === undefined ? [] : [`jr_activate_venv ${shellQuote(venv)}`]),
  ];
}
