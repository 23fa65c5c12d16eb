import { readFileSync } from 'node:fs';
import { errnoOf } from '../errors.js';
import { ConfigError } from './config-error.js';
import { environmentSchema } from './environment.js';
import { gitQueueSharedVariables } from './variables/git-queue-shared.js';

/** Variables whose value must not reach a child's environment, a log or an error. */
const secretVariables = [
  'JR_AUTH_TOKEN',
  'JR_B2_APP_KEY',
  'JR_SSH_PASSWORD',
  'JR_JOIN_TOKEN',
  'JR_GITLAB_TOKEN',
  'JR_SLURM_JWT',
];

/** Variables that the SSH hosts file may name for a password. */
export const passwordVariable = /^JR_SSH_PASSWORD(_[A-Z0-9_]+)?$/;

/** Returns whether that variable is one of the git queue's, which have no `JR_` in front. */
function isOfQueue(name: string): boolean {
  return (gitQueueSharedVariables as readonly string[]).includes(name);
}

/**
 * Returns the given settings without the secrets, for a child that reads its own {@link Config}.
 */
export function publicSettings(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] =>
        (entry[0] in environmentSchema.shape || isOfQueue(entry[0])) &&
        !secretVariables.includes(entry[0]) &&
        !!entry[1],
    ),
  );
}

/**
 * Reads a secret. @returns undefined when there is none. @throws ConfigError when this user may not
 * read it.
 */
export function readSecret(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'EACCES') throw new ConfigError(`${path}: this user may not read it`);
    throw error;
  }
}

/** Returns the passwords of SSH hosts, by the name of their variable. */
export function passwordsOf(given: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).filter(
      (entry): entry is [string, string] =>
        passwordVariable.test(entry[0]) && entry[1] !== undefined,
    ),
  );
}
