import { ownerOfSource } from '../auth/caller.js';
import type { JobId } from '../jobs/job.js';
import * as jobStore from '../jobs/store.js';
import { IngestLoop } from './ingest-loop.js';
import type { IngestContext } from './open-source.js';
import { Pauses } from './pauses.js';
import type { RunningSource } from './running-sources.js';
import type { IngestItem, IngestSource } from './source.js';
import { workerIdOf } from './worker-id.js';

export interface LoopSettings {
  /** Seconds between the starts of two scans. */
  seconds: number;
  /** Undefined: the number of GPUs here. */
  maxJobs: number | undefined;
}

/** Starts the loop of a source whose jobs several servers may share. */
export function openLoop<Item extends IngestItem>(
  context: IngestContext,
  source: IngestSource<Item>,
  { seconds, maxJobs }: LoopSettings,
): RunningSource {
  const { config, db, jobs, control, gpuCount, outcomeOf, now, log, onClose } = context;
  const { worker = workerIdOf(db), leaseMs } = config.ingest;
  const loop = new IngestLoop<Item>({
    source,
    db,
    jobs,
    control,
    outcomeOf,
    owner: ownerOfSource(source.name),
    worker,
    leaseMs,
    pauses: new Pauses(db, now),
    seconds,
    maxJobs: maxJobs ?? Math.max(1, gpuCount),
    findJob: (id) => jobStore.findJob(db, id as JobId),
    now,
    log,
  });
  onClose(() => loop.close());
  loop.start();
  return loop;
}
