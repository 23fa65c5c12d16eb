import { join } from 'node:path';
import { ConfigError } from './config-error.js';
import type { Environment } from './environment.js';
import { readSecret } from './secrets.js';

export interface GitLabConfig {
  url: string;
  token: string;
  /** Seconds between the starts of two scans. */
  seconds: number;
  /** Paths, globs or numbers of projects; undefined for all. */
  projects: string[] | undefined;
  maxRetries: number;
  /** Undefined for the number of GPUs. */
  maxJobs: number | undefined;
  jobTypesFile: string;
}

/** The name of the file where the stack leaves the token for the API. */
export const GITLAB_TOKEN_SECRET = 'gitlab-token';

/**
 * Reads the GitLab settings. @returns undefined where none is set. @throws ConfigError without a
 * token.
 */
export function readGitLab(e: Environment, secrets: string): GitLabConfig | undefined {
  if (e.JR_GITLAB_URL === undefined) return undefined;
  const token = e.JR_GITLAB_TOKEN ?? readSecret(join(secrets, GITLAB_TOKEN_SECRET));
  if (token === undefined)
    throw new ConfigError('JR_GITLAB_TOKEN: not set, but JR_GITLAB_URL is; see docs/gitlab.md');
  return {
    url: e.JR_GITLAB_URL,
    token,
    seconds: e.JR_GITLAB_INTERVAL,
    projects: e.JR_GITLAB_PROJECTS,
    maxRetries: e.JR_GITLAB_MAX_RETRIES,
    maxJobs: e.JR_GITLAB_MAX_JOBS,
    jobTypesFile: e.JR_GITLAB_JOB_TYPES ?? join(e.JR_ROOT, 'gitlab_job_types.yaml'),
  };
}
