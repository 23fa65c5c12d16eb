import { ownerOfRoute } from '../auth/caller.js';
import { JobsFile } from '../ingest/jobs-file/jobs-file.js';
import { TakenLines } from '../ingest/jobs-file/taken-lines.js';
import { JOBS_FILE, JobsFileWayIn } from '../ingest/jobs-file/way-in.js';
import { Pauses } from '../ingest/pauses.js';
import { readOutcome } from '../ingest/read-outcome.js';
import { Route } from '../ingest/route.js';
import type { IngestItem, IngestSource } from '../ingest/source.js';
import { WaysIn, type WayIn } from '../ingest/ways-in.js';
import { workerIdOf } from '../ingest/worker-id.js';
import type { JobId } from '../jobs/job.js';
import * as jobStore from '../jobs/store.js';
import type { Base } from './base.js';
import type { Cluster } from './cluster.js';
import type { Jobs } from './jobs.js';
import type { Outputs } from './outputs.js';

export interface Ingest {
  jobsFile: JobsFile;
  waysIn: WaysIn;
}

/** The ways in besides HTTP. */
export function openIngest(base: Base, cluster: Cluster, work: Jobs): Ingest {
  const pauses = new Pauses(base.db, base.now);
  const { jobsFile, wayIn } = openJobsFile(base, cluster, work, pauses);
  const routes: WayIn[] = [];
  return { jobsFile, waysIn: new WaysIn([wayIn, ...routes]) };
}

function openJobsFile(base: Base, { here }: Cluster, { jobs, models }: Jobs, pauses: Pauses) {
  const { config, log, db, now, onClose } = base;
  const { seconds } = config.jobsFile;
  const taken = new TakenLines(db, config.jobsFile.path, now);
  const jobsFile = new JobsFile({
    ...config.jobsFile,
    jobs,
    models,
    gpuCount: here.fleet.gpus.length,
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

export interface RouteSettings {
  /** Between the starts of two scans. */
  seconds: number;
  /** Undefined: as many as there are GPUs here. */
  maxJobs: number | undefined;
}

/** Opens and starts a route that several servers may share. */
export function openRoute<Item extends IngestItem>(
  base: Base,
  { here }: Cluster,
  { jobs, control }: Jobs,
  { outputs, folders, boxService }: Outputs,
  source: IngestSource<Item>,
  { seconds, maxJobs }: RouteSettings,
): Route<Item> {
  const { config, db, log, now, onClose } = base;
  const { worker = workerIdOf(db), leaseMs, publicUrl } = config.ingest;
  const onTheWay = (id: JobId) => boxService?.onTheWay(id);
  const outcomeParts = { jobs, outputs, folders, onTheWay, publicUrl, now };
  const route = new Route<Item>({
    source,
    db,
    jobs,
    control,
    outcomeOf: (id, signal) => readOutcome(outcomeParts, id, signal),
    owner: ownerOfRoute(source.name),
    worker,
    leaseMs,
    pauses: new Pauses(db, now),
    seconds,
    maxJobs: maxJobs ?? Math.max(1, here.fleet.gpus.length),
    findJob: (id) => jobStore.findJob(db, id as JobId),
    now,
    log,
  });
  onClose(() => route.close());
  route.start();
  return route;
}
