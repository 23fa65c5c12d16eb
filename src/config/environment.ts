import { z } from 'zod';
import { ConfigError } from './config-error.js';
import { workersVariables } from './variables/workers.js';
import { externalVariables } from './variables/external.js';
import { gitQueueVariables } from './variables/git-queue.js';
import { gitlabVariables } from './variables/gitlab.js';
import { gpusVariables } from './variables/gpus.js';
import { ingestVariables } from './variables/ingest.js';
import { jobsVariables } from './variables/jobs.js';
import { limitsVariables } from './variables/limits.js';
import { nodeVariables } from './variables/node.js';
import { queueApiVariables } from './variables/queue-api.js';
import { serviceVariables } from './variables/service.js';
import { sshVariables } from './variables/ssh.js';
import { storageVariables } from './variables/storage.js';
import { problemsOf } from '../schema-problems.js';

/**
 * Every variable the service reads. A test compares the descriptions with docs/settings.md; `shown`
 * stands there in place of a default that is not a plain value.
 */
export const environmentSchema = z.object({
  ...serviceVariables,
  ...nodeVariables,
  ...gpusVariables,
  ...jobsVariables,
  ...ingestVariables,
  ...gitlabVariables,
  ...gitQueueVariables,
  ...sshVariables,
  ...workersVariables,
  ...externalVariables,
  ...limitsVariables,
  ...queueApiVariables,
  ...storageVariables,
});

export type Environment = z.infer<typeof environmentSchema>;

/** Returns the variables that have a value: an empty variable counts as unset. */
export function given(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => !!entry[1]),
  );
}

/**
 * Parses variables. @throws ConfigError naming each unusable one, in one line and without its
 * value.
 */
export function parseEnvironment<S extends z.ZodType>(
  schema: S,
  env: NodeJS.ProcessEnv,
): z.infer<S> {
  const parsed = schema.safeParse(given(env));
  if (parsed.success) return parsed.data;
  throw new ConfigError(problemsOf(parsed.error));
}
