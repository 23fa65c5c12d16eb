import { ownerOfSource } from '../auth/caller.js';
import { Pauses } from '../ingest/pauses.js';
import { ExpiredLeases } from '../ingest/expired-leases.js';
import { GitLabClient } from '../ingest/gitlab/client.js';
import { GitLabSource } from '../ingest/gitlab/source.js';
import { readOutcome } from '../ingest/read-outcome.js';
import { IngestLoop } from '../ingest/ingest-loop.js';
import type { IngestItem, IngestSource } from '../ingest/source.js';
import type { RunningSource } from '../ingest/running-sources.js';
import { workerIdOf } from '../ingest/worker-id.js';
import type { JobId } from '../jobs/job.js';
import * as jobStore from '../jobs/store.js';
import type { Base } from './base.js';
import { gpuCountOf, type Cluster } from './cluster.js';
import { openGitQueue } from './git-queue.js';
import type { Jobs } from './jobs.js';
import type { Outputs } from './outputs.js';

export interface RouteSettings {
  /** Between the starts of two scans. */
  seconds: number;
  /** Undefined: as many as there are GPUs here. */
  maxJobs: number | undefined;
}

/** Starts a route, whose jobs several servers may share. */
type OpenRoute = <Item extends IngestItem>(
  source: IngestSource<Item>,
  settings: RouteSettings,
) => RunningSource;

/** The routes that the settings name. */
export async function openRoutes(
  base: Base,
  cluster: Cluster,
  work: Jobs,
  results: Outputs,
): Promise<RunningSource[]> {
  const open: OpenRoute = (source, settings) =>
    openRoute(base, cluster, work, results, source, settings);
  const { gitQueue } = base.config;
  const queue = gitQueue && open(await openGitQueue(base, cluster, gitQueue), gitQueue);
  return [openGitLab(base, open), queue].filter((way) => way !== undefined);
}

function openGitLab({ config, log, now }: Base, open: OpenRoute): RunningSource | undefined {
  const { gitlab } = config;
  if (gitlab === undefined) return undefined;
  const { url, token, maxRetries, jobTypesFile, projects = [] } = gitlab;
  const onRetry = (why: string, waitMs: number) =>
    log.debug({ route: 'gitlab', why, waitMs }, 'ingest: asking GitLab again');
  const client = new GitLabClient({ url, token, maxRetries, onRetry });
  const expired = new ExpiredLeases(config.ingest.leaseMs, now);
  return open(new GitLabSource({ client, expired, jobTypesFile, projects, now }), gitlab);
}

function openRoute<Item extends IngestItem>(
  base: Base,
  cluster: Cluster,
  { jobs, control }: Jobs,
  { outputs, folders, onTheWay }: Outputs,
  source: IngestSource<Item>,
  { seconds, maxJobs }: RouteSettings,
): RunningSource {
  const { config, db, log, now, onClose } = base;
  const { worker = workerIdOf(db), leaseMs, publicUrl } = config.ingest;
  const outcomeParts = { jobs, outputs, folders, onTheWay, publicUrl, now };
  const route = new IngestLoop<Item>({
    source,
    db,
    jobs,
    control,
    outcomeOf: (id, signal) => readOutcome(outcomeParts, id, signal),
    owner: ownerOfSource(source.name),
    worker,
    leaseMs,
    pauses: new Pauses(db, now),
    seconds,
    maxJobs: maxJobs ?? Math.max(1, gpuCountOf(cluster)),
    findJob: (id) => jobStore.findJob(db, id as JobId),
    now,
    log,
  });
  onClose(() => route.close());
  route.start();
  return route;
}
