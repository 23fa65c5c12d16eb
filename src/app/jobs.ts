import { join } from 'node:path';
import { isOfTheBox } from '../auth/caller.js';
import type { Limits } from '../auth/user-limits.js';
import { ModelNeeds } from '../gpus/models.js';
import { GpuService } from '../gpus/service.js';
import { simulatedSmi } from '../gpus/simulated.js';
import { JobControl } from '../jobs/control.js';
import { HandOver } from '../jobs/hand-over.js';
import type { JobId } from '../jobs/job.js';
import { logTail } from '../jobs/log-file.js';
import { Mover } from '../jobs/mover.js';
import { isHere } from '../jobs/places.js';
import { recordPlacements } from '../jobs/placements.js';
import { JobService } from '../jobs/service.js';
import * as jobStore from '../jobs/store.js';
import { Tracker } from '../jobs/tracker.js';
import { KeyLock } from '../key-lock.js';
import { packageRoot } from '../package-root.js';
import { TemplateLibrary } from '../templates/library.js';
import type { Base } from './base.js';
import type { Cluster } from './cluster.js';
import type { Data } from './data.js';
import type { Outputs } from './outputs.js';

export interface Jobs {
  jobs: JobService;
  control: JobControl;
  gpus: GpuService;
  models: ModelNeeds;
  templates: TemplateLibrary;
}

/** The life of a job: taken, handed to Slurm, followed, and moved or kept off a GPU meanwhile. */
export async function openJobs(
  base: Base,
  userLimits: Limits,
  { datasets }: Data,
  { slurm, here, places, boxes }: Cluster,
  { folders, boxService, index }: Outputs,
): Promise<Jobs> {
  const { config, layout, log, db, now, onClose } = base;
  const { fleet } = here;
  const models = new ModelNeeds(config.gpus.llmConfig, log);

  const accountLimits = (user: string) => {
    if (isOfTheBox(user)) return undefined;
    const { max_running: running, max_gpus: most } = userLimits.of(user);
    return { running: running || null, shards: Math.floor(most * fleet.shardsPerGpu) || null };
  };
  const retries = config.handOver;
  const handOver = new HandOver({ db, slurm, folders, places, accountLimits, retries, now, log });
  onClose(() => handOver.close());

  const gpus = new GpuService({
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
  const { isHeld } = gpus;
  const turns = new KeyLock<JobId>();
  const mover = new Mover({ db, slurm, fleet, handOver, turns, isHeld, log });
  const tracker = new Tracker({
    db,
    slurm,
    handOver,
    jobEndedFile: layout.jobEnded,
    logTail: (job) => logTail(folders, job),
    onEnded: index,
    afterLook: async () => {
      await boxService?.releaseQueued();
      await recordPlacements(db, slurm, log);
      await mover.move();
    },
    now,
    log,
  });
  onClose(() => tracker.close());
  tracker.start();
  onClose(() => gpus.close());
  await gpus.start();

  const builtIn = join(packageRoot, 'templates');
  const templates = new TemplateLibrary(config.templates ? [builtIn, config.templates] : [builtIn]);
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
  return { jobs, control, gpus, models, templates };
}
