import { JobsFile } from '../ingest/jobs-file/jobs-file.js';
import { ProcessedLines } from '../ingest/jobs-file/processed-lines.js';
import { JOBS_FILE, JobsFileSource } from '../ingest/jobs-file/source.js';
import { Pauses } from '../ingest/pauses.js';
import { RunningSources } from '../ingest/running-sources.js';
import type { JobId } from '../jobs/job.js';
import * as jobStore from '../jobs/store.js';
import type { Base } from './base.js';
import { gpuCountOf, type Cluster } from './cluster.js';
import { openRoutes } from './ingest-routes.js';
import type { Jobs } from './jobs.js';
import type { Outputs } from './outputs.js';

export interface Ingest {
  jobsFile: JobsFile;
  sources: RunningSources;
}

/** The ways in besides HTTP. */
export async function openIngest(
  base: Base,
  cluster: Cluster,
  work: Jobs,
  results: Outputs,
): Promise<Ingest> {
  const pauses = new Pauses(base.db, base.now);
  const { jobsFile, wayIn } = openJobsFile(base, cluster, work, pauses);
  const routes = await openRoutes(base, cluster, work, results);
  return { jobsFile, sources: new RunningSources([wayIn, ...routes]) };
}

function openJobsFile(base: Base, cluster: Cluster, { jobs, models }: Jobs, pauses: Pauses) {
  const { config, log, db, now, onClose } = base;
  const { seconds } = config.jobsFile;
  const processed = new ProcessedLines(db, config.jobsFile.path, now);
  const jobsFile = new JobsFile({
    ...config.jobsFile,
    jobs,
    models,
    gpuCount: gpuCountOf(cluster),
    processed,
    isPaused: () => pauses.of(JOBS_FILE) !== undefined,
    now,
    log,
  });
  onClose(() => jobsFile.close());
  jobsFile.start();
  const countStates = (ids: JobId[]) => jobStore.countStates(db, ids);
  return {
    jobsFile,
    wayIn: new JobsFileSource({ jobsFile, processed, seconds, pauses, countStates }),
  };
}
