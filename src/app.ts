import { setMaxListeners } from 'node:events';
import type { Server } from 'node:http';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { ConfigError } from './config/config-error.js';
import type { Config } from './config/config.js';
import { audit, auditRoutes } from './auth/audit.js';
import { Authenticator } from './auth/authenticator.js';
import { BOX_OWNER } from './auth/caller.js';
import { tokenRoutes } from './auth/token-routes.js';
import { Tokens } from './auth/tokens.js';
import { Limits } from './auth/user-limits.js';
import { userRoutes } from './auth/user-routes.js';
import { BoxList } from './boxes/box-list.js';
import { boxRoutes } from './boxes/routes.js';
import { BoxService } from './boxes/service.js';
import { viewBoxGpus } from './boxes/view.js';
import { importRoutes } from './datasets/import-routes.js';
import { ImportService } from './datasets/import-service.js';
import { datasetRoutes } from './datasets/routes.js';
import { DatasetService } from './datasets/service.js';
import { openDatabase } from './db/database.js';
import { gpuSchema } from './gpus/gpu.js';
import { ModelNeeds } from './gpus/models.js';
import { gpuRoutes } from './gpus/routes.js';
import { GpuService } from './gpus/service.js';
import { simulatedSmi } from './gpus/simulated.js';
import { HealthCheck } from './health/health.js';
import { healthRoutes } from './health/routes.js';
import { createHttpApp } from './http/app.js';
import { closeServer, listen } from './http/server.js';
import { JobsFile } from './ingest/jobs-file/jobs-file.js';
import { jobsFileRoutes } from './ingest/jobs-file/routes.js';
import { TakenLines } from './ingest/jobs-file/taken-lines.js';
import { JobControl } from './jobs/control.js';
import { HandOver } from './jobs/hand-over.js';
import { JobFolders } from './jobs/job-folders.js';
import type { JobId } from './jobs/job.js';
import { logTail } from './jobs/log-file.js';
import { Mover } from './jobs/mover.js';
import { isHere, Places } from './jobs/places.js';
import { recordPlacements } from './jobs/placements.js';
import { jobRoutes } from './jobs/routes.js';
import { screenRoutes } from './jobs/screen-routes.js';
import { JobService } from './jobs/service.js';
import * as jobStore from './jobs/store.js';
import { Tracker } from './jobs/tracker.js';
import { KeyLock } from './key-lock.js';
import { metricsRoutes } from './metrics/routes.js';
import { nodeRoutes } from './nodes/routes.js';
import { outputRoutes } from './outputs/routes.js';
import { OutputService } from './outputs/service.js';
import { packageRoot } from './package-root.js';
import { queueRoutes } from './queue-api/routes.js';
import { QueueService } from './queue-api/service.js';
import { HostList } from './remote/host-list.js';
import { NodeWatch } from './remote/node-watch.js';
import { holdReserve } from './slurm/hold.js';
import { commandSlurmClient } from './slurm/client.js';
import type { Layout } from './layout.js';
import { ObjectStore } from './storage/object-store.js';
import { commandRoutes } from './templates/routes.js';
import { TemplateLibrary } from './templates/library.js';

/** How long requests under way are given when the service stops. */
const graceMs = 10_000;

export interface App {
  server: Server;
  /** Takes nothing new, waits for what is under way, closes all. */
  close(): Promise<void>;
}

/** Wires everything, in the order in which one part needs another; what fails half-way is closed again. */
export async function openApp(config: Config, layout: Layout, log: Logger): Promise<App> {
  const releasers: (() => Promise<void> | void)[] = [];
  const closeAll = async () => {
    for (const release of releasers.reverse()) {
      try {
        await release();
      } catch (error) {
        log.error({ err: error }, 'a part did not close');
      }
    }
  };
  try {
    const { authToken, limits, node } = config;
    if (authToken === undefined)
      throw new ConfigError(
        'JR_AUTH_TOKEN: not set, and the stack has left none in its secrets folder',
      );
    if (node.cpus === undefined || node.memoryMb === undefined)
      throw new ConfigError('JR_NUM_CPUS and JR_REAL_MEM_MB: must be set for "serve" alone');
    const now = Date.now;
    const stopping = new AbortController();
    // Every reply that is waited for listens to it.
    setMaxListeners(0, stopping.signal);
    const gpus = z.array(gpuSchema).parse(JSON.parse(readFileSync(layout.gpuMap, 'utf8')));

    const { shardsPerGpu } = config.gpus;
    const fleet = { gpus, shardsPerGpu, gpuType: node.gpuType };
    const models = new ModelNeeds(config.gpus.llmConfig, log);

    const db = openDatabase(layout.database);
    releasers.push(() => void db.close());
    const tokens = new Tokens({ db, authToken, log, now });
    const userLimits = new Limits({ db, everybody: config.userLimits });
    const demandRoomFor = (user: string, bytes: number) => userLimits.demandRoomFor(user, bytes);
    const slurm = commandSlurmClient(layout.slurmConf, holdReserve(node.cpus, gpus.length));

    const datasets = new DatasetService({
      db,
      root: layout.datasets,
      limits,
      now,
      log,
      isInUse: (sha) => jobStore.isDatasetInUse(db, sha),
      demandRoomFor,
    });
    releasers.push(() => datasets.close());
    await datasets.start();

    const storage = config.b2 && { ...config.b2, store: new ObjectStore(config.b2) };
    releasers.push(() => storage?.store.close());
    const imports = new ImportService({ db, datasets, storage, limits, now, log });
    releasers.push(() => imports.close());
    imports.start();

    const folders = new JobFolders(layout);
    await folders.sweep(log);
    const boxes = config.join && new BoxList(layout.boxesRecord);
    const boxService =
      boxes &&
      new BoxService({
        db,
        folders,
        arrivals: layout.boxArrivals,
        datasets,
        findJob: (id) => jobStore.findJob(db, id),
        warn: (id, warning) => jobStore.updateJob(db, id, { warning }),
        onDelivered: (id) => indexOutputs(id),
      });
    releasers.push(() => boxService?.close());
    await boxService?.start();
    const outputs = new OutputService({
      db,
      resultsDir: layout.results,
      now,
      jobs: {
        find: (id) => jobStore.findJob(db, id as JobId),
        inExperiment: (experimentId) => jobStore.jobsOfExperiment(db, experimentId),
      },
      onTheWay: (id) => boxService?.onTheWay(id),
    });
    releasers.push(() => outputs.close());
    const indexOutputs = (id: JobId) => {
      outputs.indexJob(id).catch((error: unknown) => {
        log.warn({ err: error, job_id: id }, 'indexing failed; it is tried again when asked for');
      });
    };

    const retries = config.handOver;
    const accountLimits = (user: string) => {
      if (user === BOX_OWNER) return undefined;
      const { max_running: running, max_gpus: most } = userLimits.of(user);
      return { running: running || null, shards: Math.floor(most * shardsPerGpu) || null };
    };
    const sshHosts = new HostList(layout.remoteHosts);
    const { cpus, memoryMb, maxTime } = node;
    const here = { limits: { cpus, memoryMb, maxTime }, fleet };
    const places = new Places(here, sshHosts, boxes);
    const handOver = new HandOver({
      db,
      slurm,
      folders,
      places,
      accountLimits,
      retries,
      now,
      log,
    });
    releasers.push(() => handOver.close());
    const gpuService = new GpuService({
      db,
      slurm,
      fleet,
      smiCommand: config.node.simulatedGpus > 0 ? simulatedSmi(layout.simulatedGpus) : 'nvidia-smi',
      thresholds: { memory: config.gpus.memThreshold, load: config.gpus.loadThreshold },
      monitorSeconds: config.gpus.monitorSeconds,
      idleWarnMinutes: config.gpus.idleWarnMinutes,
      stateFile: config.gpus.stateFile,
      stateSeconds: config.gpus.stateSeconds,
      liveJobs: () => jobStore.liveJobs(db).filter(isHere),
      setWarning: (id, warning) => jobStore.updateJob(db, id as JobId, { warning }),
      now,
      log,
    });
    const { isHeld } = gpuService;
    const turns = new KeyLock<JobId>();
    const mover = new Mover({ db, slurm, fleet, handOver, turns, isHeld, log });
    const tracker = new Tracker({
      db,
      slurm,
      handOver,
      jobEndedFile: layout.jobEnded,
      logTail: (job) => logTail(folders, job),
      onEnded: indexOutputs,
      afterLook: async () => {
        await boxService?.releaseQueued();
        await recordPlacements(db, slurm, log);
        await mover.move();
      },
      now,
      log,
    });
    releasers.push(() => tracker.close());
    tracker.start();
    releasers.push(() => gpuService.close());
    await gpuService.start();

    const builtIn = join(packageRoot, 'templates');
    const templates = new TemplateLibrary(
      config.templates ? [builtIn, config.templates] : [builtIn],
    );
    const jobs = new JobService({
      db,
      templates,
      datasets,
      folders,
      handOver,
      tracker,
      places,
      screenDir: layout.screens,
      nodeFile: boxes && layout.nodeFile,
      models,
      isHeld,
      demandRoomForJob: (user) => userLimits.demandRoomForJob(user),
      now,
    });

    const get = (id: JobId) => jobs.get(id);
    const control = new JobControl({ db, slurm, handOver, tracker, turns, get });

    const { jobsFile: file } = config;
    const taken = new TakenLines(db, file.path, now);
    const jobsFile = new JobsFile({
      ...file,
      jobs,
      models,
      gpuCount: gpus.length,
      taken,
      now,
      log,
    });
    releasers.push(() => jobsFile.close());
    jobsFile.start();

    const nodeWatch = new NodeWatch({ slurm, hosts: sshHosts, path: layout.remoteStatus, log });
    releasers.push(() => nodeWatch.close());
    nodeWatch.start();

    const queue = new QueueService({
      db,
      jobs,
      control,
      folders,
      slurm,
      hosts: sshHosts,
      here,
      settings: config.queue,
      liveJobs: () => jobStore.liveJobs(db),
      now,
    });
    const authenticator = new Authenticator(tokens);

    const health = new HealthCheck({ db, slurm, root: layout.root, now });
    const app = createHttpApp({
      log,
      trustedProxies: config.trustedProxies,
      authenticator,
      audit: audit(db, now),
      health: healthRoutes(health),
      queueApi: queueRoutes({
        queue,
        authenticator,
        isPublic: config.queue.isPublic,
        stopping: stopping.signal,
      }),
      boxes: boxes && boxService && boxRoutes({ boxes, service: boxService, datasets }),
      imports: importRoutes(imports, stopping.signal),
      datasets: datasetRoutes(datasets),
      commands: commandRoutes(templates),
      jobs: jobRoutes(jobs, control, outputs, folders, stopping.signal, (job) =>
        isHere(job) ? gpuService.whyHeldBack(job) : null,
      ),
      screens: screenRoutes(db),
      outputs: outputRoutes(outputs),
      gpus: gpuRoutes(
        gpuService,
        boxes && (() => viewBoxGpus(boxes.open(), jobStore.liveJobs(db), shardsPerGpu)),
      ),
      nodes: nodeRoutes(slurm, sshHosts, nodeWatch),
      ingest: jobsFileRoutes(jobsFile),
      metrics: metricsRoutes(db, health, gpuService),
      tokens: tokenRoutes(tokens),
      users: userRoutes(userLimits),
      auditLog: auditRoutes(db),
    });
    const server = await listen(app, config.host, config.port);
    releasers.push(() => closeServer(server, graceMs));
    // First of all: who waits for a job to end is answered with how it stands.
    releasers.push(() => stopping.abort());
    return { server, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}
