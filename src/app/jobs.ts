import { join } from 'node:path';
import { isOfTheBox } from '../auth/caller.js';
import type { Limits } from '../auth/user-limits.js';
import { checkUserGpuQuota, shardsOf } from '../cluster/gpus/request.js';
import { ModelNeeds } from '../cluster/gpus/models.js';
import type { GpuService } from '../cluster/gpus/service.js';
import { JobControl } from '../jobs/control.js';
import { Submitter } from '../jobs/submission.js';
import { hostFailure } from '../jobs/host-failure.js';
import type { JobId } from '../jobs/job.js';
import { watchEpilog } from '../jobs/job-ended.js';
import { logTail } from '../jobs/log-file.js';
import { ownPollIntervals } from '../jobs/polling.js';
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
import { externalPolicy } from './external-cluster.js';

export interface Jobs {
  jobs: JobService;
  control: JobControl;
  /** Undefined on an external cluster, whose GPUs are not ours to watch and to pause. */
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
  { folders, workerService, index }: Outputs,
): Promise<Jobs> {
  const { config, layout, log, db, now, onClose } = base;
  const { slurm, targets, own } = cluster;
  const models = new ModelNeeds(config.gpus.llmConfig, log);
  const policy = policyOf(base, userLimits, cluster);
  const submitter = new Submitter({
    db,
    slurm,
    folders,
    targets,
    accountFor: policy.accountFor,
    niceOf: policy.niceOf,
    retries: config.submitRetries,
    now,
    log,
  });
  onClose(() => submitter.close());

  const turns = new KeyLock<JobId>();
  const ownGpus = own && openOwnGpus(base, own, submitter, turns);
  const tracker = new Tracker({
    db,
    slurm,
    submitter,
    intervals: policy.intervals,
    watchEndings: policy.watchEndings,
    ...(policy.knowsByFolder && { workDirOf: (id: JobId) => folders.of(id).outputDir }),
    logTail: (job) => logTail(folders, job),
    hostFailure: (job) => hostFailure(folders, targets, job),
    onEnded: index,
    afterPoll: async () => {
      await workerService?.releaseQueued();
      await ownGpus?.afterPoll();
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
    config.templates ? [policy.templates, config.templates] : [policy.templates],
  );
  const jobs = new JobService({
    db,
    templates,
    datasets,
    folders,
    submitter,
    tracker,
    targets,
    users: own?.jobUsers,
    screenDir: layout.screens,
    nodeFile: own?.workers && layout.nodeFile,
    external: policy.script,
    models,
    isClosed: gpus ? gpus.isClosed : () => false,
    demandRoomForJob: (user, request, fleet) => {
      const { max_gpus: most } = userLimits.of(user);
      if (most > 0) checkUserGpuQuota(most, fleet.gpus, request);
      userLimits.demandRoomForJob(user);
    },
    now,
  });
  const get = (id: JobId) => jobs.get(id);
  const { ranking } = policy;
  const control = new JobControl({ db, slurm, ranking, submitter, targets, tracker, turns, get });
  return { jobs, control, gpus, models, templates, limitsChanged: policy.limitsChanged };
}

/** In what jobs are dealt with otherwise on an external cluster than in a cluster of our own. */
export type ClusterPolicy = ReturnType<typeof ownPolicy> | ReturnType<typeof externalPolicy>;

function policyOf(base: Base, userLimits: Limits, { own, external }: Cluster): ClusterPolicy {
  if (own) return ownPolicy(base, userLimits, own);
  if (external) return externalPolicy(base, external);
  throw new Error('there is neither a cluster of our own nor an external cluster');
}

function ownPolicy(
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
    intervals: ownPollIntervals(config.pollSeconds),
    watchEndings: watchEpilog(layout.jobEnded),
    /** Whether Slurm's accounting may have no comment of a job. */
    knowsByFolder: false,
    templates: join(packageRoot, 'templates'),
    script: undefined,
  };
}
