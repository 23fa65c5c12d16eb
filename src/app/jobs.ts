import { join } from 'node:path';
import { isOfTheBox } from '../auth/caller.js';
import type { Limits } from '../auth/user-limits.js';
import { refuseMoreThan, shardsOf } from '../cluster/gpus/request.js';
import { ModelNeeds } from '../cluster/gpus/models.js';
import type { GpuService } from '../cluster/gpus/service.js';
import { JobControl } from '../jobs/control.js';
import { HandOver } from '../jobs/submission.js';
import { hostFailure } from '../jobs/host-failure.js';
import type { JobId } from '../jobs/job.js';
import { watchEpilog } from '../jobs/job-ended.js';
import { logTail } from '../jobs/log-file.js';
import { ownPace } from '../jobs/polling.js';
import { OperatorRanking } from '../jobs/queue-priority/operator.js';
import { JobService } from '../jobs/service.js';
import { Tracker } from '../jobs/tracker.js';
import { UserAccounts } from '../jobs/user-accounts.js';
import { KeyLock } from '../key-lock.js';
import { packageRoot } from '../config/package-root.js';
import { niceOf } from '../cluster/slurm/sbatch.js';
import { TemplateLibrary } from '../jobs/templates/library.js';
import type { Base } from './base.js';
import type { Cluster, OwnCluster } from './cluster.js';
import type { Data } from './data.js';
import type { Outputs } from './outputs.js';
import { openOwnGpus } from './own-gpus.js';
import { siteWays } from './site.js';

export interface Jobs {
  jobs: JobService;
  control: JobControl;
  /** Undefined on a site, whose GPUs are not ours to watch and to pause. */
  gpus: GpuService | undefined;
  models: ModelNeeds;
  templates: TemplateLibrary;
  /** Tells Slurm of a user's new limits. @throws AppError slurm_unavailable */
  limitsChanged: (user: string) => Promise<void>;
}

/** The life of a job: taken, handed to Slurm, followed, and moved or kept off a GPU meanwhile. */
export async function openJobs(
  base: Base,
  userLimits: Limits,
  { datasets }: Data,
  cluster: Cluster,
  { folders, boxService, index }: Outputs,
): Promise<Jobs> {
  const { config, layout, log, db, now, onClose } = base;
  const { slurm, places, own } = cluster;
  const models = new ModelNeeds(config.gpus.llmConfig, log);
  const ways = waysOf(base, userLimits, cluster);
  const handOver = new HandOver({
    db,
    slurm,
    folders,
    places,
    accountFor: ways.accountFor,
    niceOf: ways.niceOf,
    retries: config.handOver,
    now,
    log,
  });
  onClose(() => handOver.close());

  const turns = new KeyLock<JobId>();
  const ownGpus = own && openOwnGpus(base, own, handOver, turns);
  const tracker = new Tracker({
    db,
    slurm,
    handOver,
    pace: ways.pace,
    watchEndings: ways.watchEndings,
    ...(ways.knowsByFolder && { workDirOf: (id: JobId) => folders.of(id).outputDir }),
    logTail: (job) => logTail(folders, job),
    hostFailure: (job) => hostFailure(folders, places, job),
    onEnded: index,
    afterLook: async () => {
      await boxService?.releaseQueued();
      await ownGpus?.afterLook();
    },
    now,
    log,
  });
  onClose(() => tracker.close());
  tracker.start();
  const gpus = ownGpus?.gpus;
  onClose(() => gpus?.close());
  await gpus?.start();

  const templates = new TemplateLibrary(
    config.templates ? [ways.templates, config.templates] : [ways.templates],
  );
  const jobs = new JobService({
    db,
    templates,
    datasets,
    folders,
    handOver,
    tracker,
    places,
    users: own?.jobUsers,
    screenDir: layout.screens,
    nodeFile: own?.boxes && layout.nodeFile,
    site: ways.script,
    models,
    isHeld: gpus ? gpus.isHeld : () => false,
    demandRoomForJob: (user, request, fleet) => {
      const { max_gpus: most } = userLimits.of(user);
      if (most > 0) refuseMoreThan(most, fleet.gpus, request);
      userLimits.demandRoomForJob(user);
    },
    now,
  });
  const get = (id: JobId) => jobs.get(id);
  const { ranking } = ways;
  const control = new JobControl({ db, slurm, ranking, handOver, places, tracker, turns, get });
  return { jobs, control, gpus, models, templates, limitsChanged: ways.limitsChanged };
}

/** In what jobs are dealt with otherwise on a site than in a cluster of our own. */
export type Ways = ReturnType<typeof ownWays> | ReturnType<typeof siteWays>;

function waysOf(base: Base, userLimits: Limits, { own, site }: Cluster): Ways {
  if (own) return ownWays(base, userLimits, own);
  if (site) return siteWays(base, site);
  throw new Error('there is neither a cluster of our own nor a site');
}

function ownWays(
  { config, layout, db }: Base,
  userLimits: Limits,
  { slurm, here, jobUsers }: OwnCluster,
) {
  const accounts = new UserAccounts(slurm, (user) => {
    if (isOfTheBox(user)) return undefined;
    const { max_running: running, max_gpus: most } = userLimits.of(user);
    const shards = shardsOf(most, here.fleet.shardsPerGpu);
    return { running: running || null, shards: shards || null };
  });
  return {
    accountFor: accounts.accountFor,
    limitsChanged: (user: string) => accounts.limitsChanged(user, jobUsers.nameOf(user)),
    niceOf,
    ranking: new OperatorRanking(db, slurm),
    pace: ownPace(config.pollSeconds),
    watchEndings: watchEpilog(layout.jobEnded),
    /** Whether Slurm's accounting may have no comment of a job. */
    knowsByFolder: false,
    templates: join(packageRoot, 'templates'),
    script: undefined,
  };
}
