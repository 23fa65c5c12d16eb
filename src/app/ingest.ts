import { JobsFile } from '../ingest/jobs-file/jobs-file.js';
import { TakenLines } from '../ingest/jobs-file/taken-lines.js';
import type { Base } from './base.js';
import type { Cluster } from './cluster.js';
import type { Jobs } from './jobs.js';

export interface Ingest {
  jobsFile: JobsFile;
}

/** The ways in besides HTTP. */
export function openIngest(base: Base, { here }: Cluster, { jobs, models }: Jobs): Ingest {
  const { config, log, db, now, onClose } = base;
  const taken = new TakenLines(db, config.jobsFile.path, now);
  const gpuCount = here.fleet.gpus.length;
  const jobsFile = new JobsFile({ ...config.jobsFile, jobs, models, gpuCount, taken, now, log });
  onClose(() => jobsFile.close());
  jobsFile.start();
  return { jobsFile };
}
