import { WorkerService } from '../machines/worker/api/service.js';
import { JobFolders } from '../jobs/job-folders.js';
import type { JobId } from '../jobs/job.js';
import * as jobStore from '../jobs/store.js';
import { OutputService } from '../outputs/service.js';
import type { Base } from './base.js';
import type { Cluster } from './cluster.js';
import type { Data } from './data.js';

export interface Outputs {
  folders: JobFolders;
  outputs: OutputService;
  /** What workers bring; undefined where none may join. */
  workerService: WorkerService | undefined;
  /** Indexes an ended job's outputs, by and by. */
  index: (id: JobId) => void;
}

/** Jobs' folders and what is found in them. */
export async function openOutputs(base: Base, data: Data, cluster: Cluster): Promise<Outputs> {
  const { layout, log, db, now, onClose } = base;
  const folders = new JobFolders(layout);
  await folders.sweep(log);
  const outputs = new OutputService({
    db,
    resultsDir: layout.results,
    now,
    jobs: {
      find: (id) => jobStore.findJob(db, id as JobId),
      inExperiment: (experimentId) => jobStore.jobsOfExperiment(db, experimentId),
    },
    onTheWay: (id) => workerService?.onTheWay(id),
  });
  onClose(() => outputs.close());
  const index = (id: JobId) => {
    outputs.indexJob(id).catch((error: unknown) => {
      log.warn({ err: error, job_id: id }, 'indexing failed; it is tried again when asked for');
    });
  };
  const workerService =
    cluster.own?.workers &&
    new WorkerService({
      db,
      folders,
      arrivals: layout.workerArrivals,
      datasets: data.datasets,
      findJob: (id) => jobStore.findJob(db, id),
      warn: (id, warning) => jobStore.updateJob(db, id, { warning }),
      onDelivered: (id) => index(id),
    });
  onClose(() => workerService?.close());
  await workerService?.start();
  return { folders, outputs, workerService, index };
}
