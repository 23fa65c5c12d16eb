import { lateOutputs } from '../machines/worker/api/late-outputs.js';
import { WorkerService } from '../machines/worker/api/service.js';
import type { Limits } from '../auth/user-limits.js';
import { DiskUseWatch } from '../jobs/disk-use/watch.js';
import { JobFolders } from '../jobs/job-folders.js';
import { openAsJobUser, opensNone } from '../jobs/open-folders.js';
import type { JobId } from '../jobs/job.js';
import * as jobStore from '../jobs/store.js';
import { OutputService } from '../outputs/service.js';
import type { Base } from './base.js';
import type { Cluster } from './cluster.js';
import type { Data } from './data.js';

export interface Outputs {
  folders: JobFolders;
  /** Measures what jobs keep on the disk; not started yet. */
  diskUse: DiskUseWatch;
  outputs: OutputService;
  /** Receives logs and outputs from workers; undefined if no worker may join. */
  workerService: WorkerService | undefined;
  /** Says whether a job's worker is still to send its outputs. */
  onTheWay: (id: number) => string | undefined;
  /** Starts to index an ended job's outputs, and has its folders measured. */
  index: (id: JobId) => void;
}

/** Opens the jobs' folders, and the services that index and receive outputs. */
export async function openOutputs(
  base: Base,
  userLimits: Limits,
  data: Data,
  cluster: Cluster,
): Promise<Outputs> {
  const { config, layout, log, db, liveJobs, now, onClose } = base;
  const folders = new JobFolders(layout, cluster.own ? openAsJobUser(log) : opensNone);
  await folders.sweep(log);
  const diskUse = new DiskUseWatch({
    db,
    liveJobs,
    folders,
    measure: cluster.measureJobs,
    limits: {
      maxStoredBytes: (user) => userLimits.of(user).max_stored_bytes,
      storedBytes: (user) => userLimits.storedBytes(user),
    },
    maxLogBytes: config.maxLogBytes,
    everySeconds: config.measureSeconds,
    now,
    log,
  });
  const hasWorkers = cluster.own?.workers !== undefined;
  const onTheWay = (id: number) => (hasWorkers ? lateOutputs(db, id) : undefined);
  const outputs = new OutputService({
    db,
    resultsDir: layout.results,
    now,
    jobs: {
      find: (id) => jobStore.findJob(db, id as JobId),
      inExperiment: (experimentId) => jobStore.jobsOfExperiment(db, experimentId),
    },
    onTheWay,
  });
  onClose(() => outputs.close());
  const index = (id: JobId) => {
    const user = jobStore.findJob(db, id)?.user;
    if (user !== undefined) diskUse.changed(user);
    outputs.indexJob(id).catch((error: unknown) => {
      log.warn(
        { err: error, job_id: id },
        'could not index outputs; the next request for them tries again',
      );
    });
  };
  const workerService = hasWorkers
    ? new WorkerService({
        db,
        folders,
        arrivals: layout.workerArrivals,
        datasets: data.datasets,
        findJob: (id) => jobStore.findJob(db, id),
        warn: (id, warning) => jobStore.updateJob(db, id, { warning }),
        onDelivered: index,
      })
    : undefined;
  onClose(() => workerService?.close());
  await workerService?.start();
  return { folders, diskUse, outputs, workerService, onTheWay, index };
}
