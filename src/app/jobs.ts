import type { Logger } from 'pino';
import type { Limits } from '../auth/user-limits.js';
import { ModelNeeds } from '../cluster/gpus/models.js';
import type { DiskWatch } from '../cluster/nodes/disk-watch.js';
import type { GpuService } from '../cluster/gpus/service.js';
import { JobControl } from '../jobs/control.js';
import { JobEndings } from '../jobs/job-endings.js';
import { Submitter } from '../jobs/submission.js';
import { hostFailure } from '../jobs/host-failure.js';
import type { Job, JobId } from '../jobs/job.js';
import { hasLog, logTail } from '../jobs/log-file.js';
import { endJobsOfMovedRoot } from '../jobs/moved-root.js';
import { readJobEnvFile } from '../jobs/job-env-file.js';
import { JobPlanner } from '../jobs/plan.js';
import { JobService } from '../jobs/service.js';
import { Tracker } from '../jobs/tracker.js';
import { KeyLock } from '../key-lock.js';
import { TemplateLibrary } from '../jobs/templates/library.js';
import { problemText } from '../jobs/templates/problem.js';
import type { Base } from './base.js';
import type { Cluster } from './cluster.js';
import type { Data } from './data.js';
import type { Outputs } from './outputs.js';
import { openPlacements } from './placements.js';
import { policyOf } from './cluster-policy.js';

export interface Jobs {
  jobs: JobService;
  control: JobControl;
  /** GPUs that the API watches and pauses; undefined on an external cluster. */
  gpus: GpuService | undefined;
  models: ModelNeeds;
  templates: TemplateLibrary;
  /** Variables of every job. */
  commonEnv: Record<string, string>;
  /** Tells Slurm of a user's new limits. @throws AppError slurm_unavailable */
  limitsChanged: (user: string) => Promise<void>;
}

/** Logs what an operator of JR_TEMPLATES should know from the start. */
async function logTemplates(library: TemplateLibrary, log: Logger): Promise<void> {
  for (const notice of await library.notices()) log.warn(notice);
  const { templates } = await library.list();
  for (const { commandKey, problems, warnings } of templates) {
    for (const problem of problems) log.error(`template ${commandKey}: ${problemText(problem)}`);
    for (const warning of warnings) log.warn(`template ${commandKey}: ${problemText(warning)}`);
  }
}

/** Opens the parts that submit and track jobs, and choose their GPUs. */
export async function openJobs(
  base: Base,
  userLimits: Limits,
  { datasets }: Data,
  cluster: Cluster,
  { folders, diskUse, workerService, index }: Outputs,
  disk: DiskWatch,
): Promise<Jobs> {
  const { config, layout, log, db, liveJobs, now, onClose } = base;
  const { slurm, jobSubmitter, targets, own } = cluster;
  const models = new ModelNeeds(config.gpus.llmConfig, log);
  const policy = policyOf(base, userLimits, cluster);
  const endings = new JobEndings(db);
  const submitter = new Submitter({
    db,
    endings,
    liveJobs,
    slurm,
    jobSubmitter,
    folders,
    targets,
    onEnded: index,
    accountFor: policy.accountFor,
    niceOf: policy.niceOf,
    retries: config.submitRetries,
    now,
    log,
  });
  onClose(() => submitter.close());

  const turns = new KeyLock<JobId>();
  const placements = own && openPlacements(base, own, submitter, turns);
  const tracker = new Tracker({
    db,
    endings,
    liveJobs,
    slurm,
    submitter,
    intervals: policy.intervals,
    watchEndings: policy.watchEndings,
    ...(policy.knowsByFolder && { workDirOf: (id: JobId) => folders.of(id).outputDir }),
    logTail: (job) => logTail(folders, job),
    ...(own && { hasLog: (job: Job) => hasLog(folders, job) }),
    hostFailure: (job) => hostFailure(folders, targets, job),
    onEnded: index,
    afterPoll: async () => {
      await workerService?.releaseQueued();
      await placements?.update();
    },
    now,
    log,
  });
  onClose(() => tracker.close());
  // An external Slurm answers when it does, and its jobs' folders are where its nodes have them.
  if (own) await endJobsOfMovedRoot({ db, liveJobs, slurm, now }, layout);
  tracker.start();
  const gpus = own?.gpus;
  onClose(() => gpus?.close());
  await gpus?.start();

  const templates = new TemplateLibrary(policy.templates, config.templates);
  if (config.templates !== undefined) await logTemplates(templates, log);
  const commonEnv = readJobEnvFile(config.jobEnvFile);
  const planner = new JobPlanner({
    datasets,
    folders,
    targets,
    users: own?.jobUsers,
    screenDir: layout.screens,
    nodeFile: own?.workers && layout.nodeFile,
    external: policy.script,
    models,
    commonEnv,
  });
  const jobs = new JobService({
    db,
    liveJobs,
    templates,
    planner,
    folders,
    submitter,
    tracker,
    endings,
    targets,
    commonEnv,
    measureStorage: (user) => diskUse.refresh(user),
    checkUserLimits: (user, request, target, bytes) => {
      disk.ensureRoom();
      const { max_gpus: maxGpus } = userLimits.of(user);
      const problem = maxGpus > 0 ? target.problemWithQuota(request, maxGpus) : undefined;
      if (problem) throw problem;
      userLimits.ensureRoomForJob(user);
      // A job without a file of its own still writes a log.
      userLimits.ensureRoomFor(user, Math.max(1, bytes));
      // Its script counts before the job runs.
      if (bytes > 0) diskUse.changed(user);
    },
    now,
  });
  const get = (id: JobId) => jobs.get(id);
  const { ranking } = policy;
  const control = new JobControl({ db, slurm, ranking, submitter, targets, tracker, turns, get });
  onClose(() => diskUse.close());
  diskUse.start((id) => control.cancel(id));
  return { jobs, control, gpus, models, templates, commonEnv, limitsChanged: policy.limitsChanged };
}
