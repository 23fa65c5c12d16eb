import { z } from 'zod';
import { absolutePath, flag, wholeNumber } from '../kinds.js';

/** Jobs in a CSV file of a git repository. */
export const gitQueueVariables = {
  JR_GITQUEUE_REPO: z.string().max(2048).optional().meta({
    shown: 'none',
    description: 'Git repository with a queue whose jobs run here, over HTTPS or SSH',
  }),
  JR_GITQUEUE_BRANCH: z
    .string()
    .regex(
      /^(?![-/.])(?!.*(\.\.|\/\/|@\{|[/.]$|\.lock$))[^\0-\x20~^:?*[\\\x7f]{1,200}$/,
      'expected the name of a branch, such as main',
    )
    .default('main')
    .meta({ description: 'Branch of that repository' }),
  JR_GITQUEUE_INTERVAL: wholeNumber(1, 86_400).optional().meta({
    shown: '`SLEEP_TIME`, or 30',
    description: 'Seconds between two checks of the queue',
  }),
  JR_GITQUEUE_MAX_JOBS: wholeNumber(1, 100_000).optional().meta({
    shown: 'the number of GPUs',
    description: 'Most jobs of the queue that this server has claimed and not finished',
  }),
  JR_GITQUEUE_GPUS: wholeNumber(0, 64).optional().meta({
    shown: '1 if the machine has GPUs',
    description: 'GPUs for each job of the queue',
  }),
  JR_GITQUEUE_TOKEN_FILE: absolutePath
    .optional()
    .meta({ shown: 'none', description: 'File with the token for a repository over HTTPS' }),
  JR_GITQUEUE_USER: z
    .string()
    .regex(/^[A-Za-z0-9._@+-]{1,100}$/, 'expected a name such as git or oauth2')
    .default('git')
    .meta({ description: 'User name that goes with the token' }),
  JR_GITQUEUE_SSH_KEY_FILE: absolutePath.optional().meta({
    shown: 'none',
    description: 'Private key, without a passphrase, for a repository over SSH',
  }),
  JR_GITQUEUE_KNOWN_HOSTS: absolutePath.optional().meta({
    shown: 'none',
    description: 'File with the host key of that repository’s host, as `ssh-keyscan` prints it',
  }),
  JR_GITQUEUE_MAX_RESULT_MB: wholeNumber(0, 2000).default(10).meta({
    description:
      'Largest result that is committed, in MiB; larger ones are named with size and digest',
  }),
  JR_GITQUEUE_LOCAL: flag('0').meta({
    description: 'Allow a repository in a folder of this machine (file:///…)',
  }),
};
