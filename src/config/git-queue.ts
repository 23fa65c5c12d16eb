import { existsSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../errors.js';
import { transportOf, type Credentials } from './git-transport.js';
import { ConfigError } from './config-error.js';
import { parseEnvironment, type Environment } from './environment.js';
import { readSecret } from './secrets.js';
import { gitQueueSharedSchema } from './variables/git-queue-shared.js';

/** A file's path in the repository, from its root. */
export const pathInRepository = z
  .string()
  .regex(
    /^(?!\/)(?!.*(^|\/)(\.{1,2}|\.git|\.jobrunner)(\/|$))[^\0-\x1f\x7f\\]{1,1024}(?<!\/)$/i,
    'expected a path in the repository, such as queue.csv',
  );

/** The settings of `jobrunner queue`. */
export interface GitQueueCommandConfig {
  by: { name: string; email: string };
  queueFile: string;
  resultsDir: string;
  sleepSeconds: number;
  /** Checks without a job for us before the runner ends; 0 for no end. */
  maxAttempts: number;
  maxJobAttempts: number;
  /** The folder of the repositories that are no clone of the user's. */
  cacheFolder: string;
  hostname: string;
  /** The user's environment, for git, which may need an agent, helpers and proxies from it. */
  env: Readonly<Record<string, string | undefined>>;
}

/** Reads the settings of `jobrunner queue`. @throws ConfigError naming each unusable variable. */
export function readGitQueueCommand(env: NodeJS.ProcessEnv = process.env): GitQueueCommandConfig {
  const e = parseEnvironment(
    gitQueueSharedSchema.extend({ XDG_CACHE_HOME: z.string().optional() }),
    env,
  );
  return {
    by: { name: e.GIT_USER_NAME, email: e.GIT_USER_EMAIL },
    queueFile: e.JOBS_QUEUE_FILE,
    resultsDir: e.RESULTS_DIR,
    sleepSeconds: e.SLEEP_TIME ?? 2,
    maxAttempts: e.MAX_ATTEMPTS,
    maxJobAttempts: e.MAX_JOB_ATTEMPTS,
    cacheFolder: join(e.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'jobrunner', 'git-queue'),
    hostname: hostname(),
    env,
  };
}

/** A queue whose jobs this server runs. */
export interface GitQueueConfig {
  url: string;
  branch: string;
  by: { name: string; email: string };
  queueFile: string;
  resultsDir: string;
  maxJobAttempts: number;
  /** Seconds between the starts of two polls. */
  seconds: number;
  /** Undefined for the number of GPUs. */
  maxJobs: number | undefined;
  /** Undefined for one GPU, or none if the machine has no GPU. */
  gpus: number | undefined;
  maxResultBytes: number;
  credentials: Credentials;
  isLocal: boolean;
}

/** Names of the credential files that the stack copies for the API. */
export const gitQueueSecrets = {
  tokenFile: 'git-queue-token',
  sshKeyFile: 'git-queue-ssh-key',
  knownHostsFile: 'git-queue-known-hosts',
} as const;

const credentialVariables = [
  'JR_GITQUEUE_TOKEN_FILE',
  'JR_GITQUEUE_SSH_KEY_FILE',
  'JR_GITQUEUE_KNOWN_HOSTS',
] as const;

/**
 * Reads the git queue. @returns undefined where none is set. @throws ConfigError naming the
 * problem.
 */
export function readGitQueue(
  e: Environment,
  secrets: string,
  env: NodeJS.ProcessEnv,
): GitQueueConfig | undefined {
  const url = e.JR_GITQUEUE_REPO;
  if (url === undefined) {
    const alone = credentialVariables.find((name) => e[name] !== undefined);
    if (alone === undefined) return undefined;
    throw new ConfigError(`${alone}: set, but JR_GITQUEUE_REPO is not; see docs/git-queue.md`);
  }
  const transport = transportFor(url);
  if (transport === 'file' && !e.JR_GITQUEUE_LOCAL)
    throw new ConfigError(
      'JR_GITQUEUE_REPO: is a folder on this machine; set JR_GITQUEUE_LOCAL=1 to allow it',
    );
  if (transport === 'ssh' && !(e.JR_GITQUEUE_SSH_KEY_FILE && e.JR_GITQUEUE_KNOWN_HOSTS))
    throw new ConfigError(
      'JR_GITQUEUE_REPO: uses SSH, which needs JR_GITQUEUE_SSH_KEY_FILE and JR_GITQUEUE_KNOWN_HOSTS',
    );
  const q = parseEnvironment(gitQueueSharedSchema, env);
  const inside = (name: 'JOBS_QUEUE_FILE' | 'RESULTS_DIR') => {
    const parsed = pathInRepository.safeParse(q[name]);
    if (parsed.success) return parsed.data;
    throw new ConfigError(
      `${name}: expected a path in the repository, such as queue.csv or results`,
    );
  };
  // The stack reads root's files and leaves copies for the API, which may not read them.
  const given = {
    tokenFile: e.JR_GITQUEUE_TOKEN_FILE,
    sshKeyFile: e.JR_GITQUEUE_SSH_KEY_FILE,
    knownHostsFile: e.JR_GITQUEUE_KNOWN_HOSTS,
  };
  const credential = (name: keyof typeof given) => {
    const copy = join(secrets, gitQueueSecrets[name]);
    return given[name] === undefined || !existsSync(copy) ? given[name] : copy;
  };
  return {
    url,
    branch: e.JR_GITQUEUE_BRANCH,
    by: { name: q.GIT_USER_NAME, email: q.GIT_USER_EMAIL },
    queueFile: inside('JOBS_QUEUE_FILE'),
    resultsDir: inside('RESULTS_DIR'),
    maxJobAttempts: q.MAX_JOB_ATTEMPTS,
    seconds: e.JR_GITQUEUE_INTERVAL ?? Math.max(1, q.SLEEP_TIME ?? 30),
    maxJobs: e.JR_GITQUEUE_MAX_JOBS,
    gpus: e.JR_GITQUEUE_GPUS,
    maxResultBytes: e.JR_GITQUEUE_MAX_RESULT_MB * 1024 ** 2,
    credentials: {
      username: e.JR_GITQUEUE_USER,
      tokenFile: credential('tokenFile'),
      sshKeyFile: credential('sshKeyFile'),
      knownHostsFile: credential('knownHostsFile'),
    },
    isLocal: e.JR_GITQUEUE_LOCAL,
  };
}

/**
 * Reads the credentials that the settings name, for the stack to copy.
 * @returns the contents, by the name of the copy
 * @throws ConfigError for a missing file
 */
export function readGitQueueSecrets(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const files = {
    JR_GITQUEUE_TOKEN_FILE: gitQueueSecrets.tokenFile,
    JR_GITQUEUE_SSH_KEY_FILE: gitQueueSecrets.sshKeyFile,
    JR_GITQUEUE_KNOWN_HOSTS: gitQueueSecrets.knownHostsFile,
  };
  if (!env['JR_GITQUEUE_REPO']) return {};
  return Object.fromEntries(
    Object.entries(files).flatMap(([variable, name]) => {
      const path = env[variable];
      if (!path) return [];
      const content = readSecret(path);
      if (content === undefined)
        throw new ConfigError(`${variable}: the file ${path} does not exist`);
      return [[name, content]];
    }),
  );
}

function transportFor(url: string) {
  // Jobs can read git's command line, and some hosts accept a token as the user name.
  if (/^https:\/\/[^/]*@/i.test(url))
    throw new ConfigError(
      'JR_GITQUEUE_REPO: contains a user name, which may be a token; remove it and set JR_GITQUEUE_USER and JR_GITQUEUE_TOKEN_FILE',
    );
  try {
    return transportOf(url);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new ConfigError(`JR_GITQUEUE_REPO: ${error.message}`);
  }
}
