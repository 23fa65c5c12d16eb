import { ExpiredLeases } from '../expired-leases.js';
import { openLoop } from '../open-loop.js';
import type { IngestContext } from '../open-source.js';
import type { RunningSource } from '../running-sources.js';
import { GitLabClient } from './client.js';
import { GitLabSource } from './source.js';

/** Opens the GitLab of the settings; undefined if they name none. */
export function openGitLab(context: IngestContext): RunningSource | undefined {
  const { config, log, now, commandKeys } = context;
  const { gitlab } = config;
  if (gitlab === undefined) return undefined;
  const { url, token, maxRetries, jobTypesFile, projects = [] } = gitlab;
  const onRetry = (why: string, waitMs: number) => {
    log.debug({ source: 'gitlab', why, waitMs }, 'ingest: retrying a request to GitLab');
    source.retrying(why);
  };
  const client = new GitLabClient({ url, token, maxRetries, onRetry });
  const expired = new ExpiredLeases(config.ingest.leaseMs, now);
  const source = new GitLabSource({ client, expired, jobTypesFile, commandKeys, projects, now });
  return openLoop(context, source, gitlab);
}
