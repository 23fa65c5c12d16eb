import { setMaxListeners } from 'node:events';
import type { Server } from 'node:http';
import type { Logger } from 'pino';
import type { Base } from './base.js';
import { Closing } from './closing.js';
import { openOwnCluster, type GivenSlurm } from './own-cluster.js';
import { openData } from './data.js';
import { openDisk } from './disk.js';
import { openIngest } from './ingest.js';
import { openJobs } from './jobs.js';
import { openOutputs } from './outputs.js';
import { openExternalCluster } from './external-cluster.js';
import { openViews } from './views.js';
import { audit } from '../auth/audit.js';
import { auditRoutes } from '../auth/audit-routes.js';
import { Authenticator } from '../auth/authenticator.js';
import { guardsOf } from '../auth/guards.js';
import { KnownSenders } from '../auth/known-senders.js';
import { listenForOwner } from '../auth/owner-socket.js';
import { Senders } from '../auth/senders.js';
import { tokenRoutes } from '../auth/token-routes.js';
import { Tokens } from '../auth/tokens.js';
import { Limits } from '../auth/user-limits.js';
import { userRoutes } from '../auth/user-routes.js';
import { workerApi } from '../machines/worker/api/routes.js';
import { ConfigError } from '../config/config-error.js';
import type { Config } from '../config/config.js';
import { packageVersion } from '../config/package-version.js';
import { importRoutes } from '../datasets/import/routes.js';
import { datasetRoutes } from '../datasets/routes.js';
import { openWithReserve } from '../db/room.js';
import { HealthCheck } from './health/health.js';
import { healthRoutes } from './health/routes.js';
import { createHttpApp } from './http-mounts.js';
import { openapiRoutes } from './openapi-routes.js';
import { Api, type Endpoint } from '../http/api.js';
import { refuseForeignPages } from '../http/own-pages.js';
import { closeServer, listen } from '../http/server.js';
import { Waits } from '../http/waits.js';
import { ingestRoutes } from '../ingest/http-routes.js';
import { JobUsers } from '../jobs/job-users.js';
import { LiveJobs } from '../jobs/live-jobs.js';
import { mayUseLocalGpus } from '../jobs/placement/target.js';
import type { Job } from '../jobs/job.js';
import { logRoutes } from '../jobs/log-routes.js';
import { jobRoutes } from '../jobs/routes.js';
import { jobsOfDataset } from '../jobs/store.js';
import { screenRoutes } from '../jobs/screen-routes.js';
import type { Layout } from '../config/layout.js';
import { readJobUsers } from '../config/unix-users.js';
import { metricsRoutes } from './metrics/routes.js';
import { outputRoutes } from '../outputs/routes.js';
import { queueRoutes } from '../queue-api/routes.js';
import { QueueService } from '../queue-api/service.js';
import { commandRoutes } from '../jobs/templates/routes.js';

/** Time that running requests get when the service stops. */
const graceMs = 10_000;

export interface App {
  server: Server;
  /** All endpoints of the service, including those of workers. */
  endpoints: readonly Endpoint[];
  /** Refuses new requests, waits for running ones, and closes everything. */
  close(): Promise<void>;
}

/**
 * Opens all parts in the order of their dependencies; after a failure, closes those opened.
 * @param given stands in for our own Slurm, in tests
 */
export async function openApp(
  config: Config,
  layout: Layout,
  log: Logger,
  given?: GivenSlurm,
): Promise<App> {
  const closing = new Closing(log);
  try {
    const opened = await open(config, layout, log, closing, given);
    return { ...opened, close: closing.closeAll };
  } catch (error) {
    await closing.closeAll();
    throw error;
  }
}

async function open(
  config: Config,
  layout: Layout,
  log: Logger,
  closing: Closing,
  given: GivenSlurm | undefined,
): Promise<Omit<App, 'close'>> {
  const { authToken } = config;
  if (authToken === undefined)
    throw new ConfigError('JR_AUTH_TOKEN: not set, and the stack’s secrets folder has none');
  const now = Date.now;
  const db = openWithReserve(layout.database, config.external !== undefined);
  closing.add(() => void db.close());
  const liveJobs = new LiveJobs(db);
  const base: Base = { config, layout, log, db, liveJobs, now, onClose: closing.add };
  const stopping = new AbortController();
  // Every waiting reply listens to this signal.
  setMaxListeners(0, stopping.signal);

  const tokens = new Tokens({ db, authToken, log, now });
  const jobUsers = new JobUsers(db, readJobUsers());
  const userLimits = new Limits({
    db,
    everybody: config.userLimits,
    canLimitRunning: config.external === undefined,
    unixUserOf: (user) => (config.external ? null : jobUsers.nameOf(user)),
  });
  const data = await openData(base, userLimits);
  const { datasets, imports } = data;
  const cluster = config.external
    ? await openExternalCluster(base, config.external)
    : openOwnCluster(base, jobUsers, given);
  const { slurm, own } = cluster;
  const disk = openDisk(base, cluster);
  const results = await openOutputs(base, userLimits, data, cluster);
  const { folders, outputs, workerService } = results;
  const work = await openJobs(base, userLimits, data, cluster, results, disk);
  const { jobs, control, gpus, templates } = work;
  const authenticator = new Authenticator(tokens, new KnownSenders({ db, log, now }));
  const senders = new Senders([...readJobUsers().values()].map(({ uid }) => uid));
  const guards = guardsOf(authenticator, senders);
  const api = new Api(guards);
  const views = openViews(api, base, cluster, gpus);
  const sources = await openIngest(base, cluster, work, results);
  const queue = new QueueService({
    db,
    jobs,
    control,
    folders,
    slurm,
    targets: views.queueTargets,
    settings: config.queue,
    liveJobs: () => liveJobs.all(),
    now,
  });

  const version = packageVersion();
  const health = new HealthCheck({ db, slurm, version, root: layout.root, now, ...views.health });
  const whyClosed = (job: Job) => (gpus && mayUseLocalGpus(job) ? gpus.whyClosed(job) : null);
  const workers =
    own?.workers &&
    workerService &&
    workerApi({ workers: own.workers, service: workerService, datasets });
  healthRoutes(api, health);
  queueRoutes(api, {
    queue,
    authenticator,
    senders,
    isPublic: config.queue.isPublic,
    stopping: stopping.signal,
  });
  const waits = new Waits(stopping.signal, config.proxyWait);
  importRoutes(api, imports, waits);
  datasetRoutes(api, datasets, (sha256) => jobsOfDataset(db, sha256, 20));
  commandRoutes(api, templates);
  jobRoutes(api, jobs, control, waits, whyClosed);
  logRoutes(api, {
    jobs,
    outputs,
    folders,
    commonEnv: work.commonEnv,
    stopping: stopping.signal,
    waits,
    whyClosed,
  });
  screenRoutes(api, liveJobs);
  outputRoutes(api, outputs, waits);
  ingestRoutes(api, sources);
  metricsRoutes(api, db, health, () => gpus?.view().gpus ?? [], sources);
  tokenRoutes(api, tokens);
  userRoutes(api, { limits: userLimits, tokens, changed: work.limitsChanged });
  auditRoutes(api, db);
  const workerEndpoints = workers?.endpoints ?? [];
  openapiRoutes(api, workerEndpoints);
  const app = createHttpApp({
    log,
    trustedProxies: config.trustedProxies,
    gates: [senders.ignoreForgery(), refuseForeignPages(config.allowedHosts)],
    audit: audit(db, now),
    api,
    workerApi: workers,
    guard: guards.reader,
  });
  const server = await listen(app, { host: config.host, port: config.port });
  closing.add(() => closeServer(server, graceMs));
  // Over an external Slurm, no part of the service is root's, and JR_ROOT may be a shared folder.
  if (config.external === undefined) {
    const ownerServer = await listenForOwner(app, layout.ownerSocket);
    closing.add(() => closeServer(ownerServer, graceMs));
  }
  // Runs first: requests that wait for a job's end get its present state.
  closing.add(() => stopping.abort());
  return { server, endpoints: [...api.endpoints, ...workerEndpoints] };
}
