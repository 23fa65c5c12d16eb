import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../config/package-root.js';
import { hasGpus } from './gpus.js';
import type { ScriptParts } from './parts.js';

/** Reads a file of libexec/job-script/, without its comments. */
function read(name: string): string {
  const path = join(packageRoot, 'libexec', 'job-script', `${name}.sh`);
  return readFileSync(path, 'utf8')
    .replace(/^ *#.*\n/gm, '')
    .trim();
}

const clearEnvironment = read('clear-environment');
const external = read('external');
const gpus = read('gpus');
const fail = read('fail');
const activate = read('activate');
const screen = read('screen');
const timeout = read('timeout');

/**
 * The shell functions that the job's script calls. The script holds them itself: SSH hosts and
 * external clusters have no file of ours.
 */
export function functionsFor(parts: ScriptParts): string[] {
  const { request, external: isExternal } = parts;
  const activates = request.conda_env !== undefined || request.venv !== undefined;
  return [
    clearEnvironment,
    ...(isExternal ? [external] : hasGpus(parts) ? [gpus] : []),
    ...(activates || request.screen ? [fail] : []),
    ...(activates ? [activate] : []),
    ...(request.screen ? [screen] : []),
    ...(request.timeout === undefined ? [] : [timeout]),
  ];
}
