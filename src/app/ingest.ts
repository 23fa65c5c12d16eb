import { JobsFile } from '../ingest/jobs-file/jobs-file.js';
import { TakenLines } from '../ingest/jobs-file/taken-lines.js';
import { JOBS_FILE, JobsFileWayIn } from '../ingest/jobs-file/way-in.js';
import { Pauses } from '../ingest/pauses.js';
import { WaysIn } from '../ingest/ways-in.js';
import type { JobId } from '../jobs/job.js';
import * as jobStore from '../jobs/store.js';
import type { Base } from './base.js';
import { gpuCountOf, type Cluster } from './cluster.js';
import { openRoutes } from './ingest-routes.js';
import type { Jobs } from './jobs.js';
import type { Outputs } from './outputs.js';

export interface Ingest {
  jobsFile: JobsFile;
  waysIn: WaysIn;
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
  return { jobsFile, waysIn: new WaysIn([wayIn, ...routes]) };
}

function openJobsFile(base: Base, cluster: Cluster, { jobs, models }: Jobs, pauses: Pauses) {
  const { config, log, db, now, onClose } = base;
  const { seconds } = config.jobsFile;
  const taken = new TakenLines(db, config.jobsFile.path, now);
  const jobsFile = new JobsFile({
    ...config.jobsFile,
    jobs,
    models,
    gpuCount: gpuCountOf(cluster),
    taken,
    isPaused: () => pauses.of(JOBS_FILE) !== undefined,
    now,
    log,
  });
  onClose(() => jobsFile.close());
  jobsFile.start();
  const countStates = (ids: JobId[]) => jobStore.countStates(db, ids);
  return { jobsFile, wayIn: new JobsFileWayIn({ jobsFile, taken, seconds, pauses, countStates }) };
}
