import type { Logger } from 'pino';
import type { ModelNeeds } from '../cluster/gpus/models.js';
import type { Config } from '../config/config.js';
import type { Layout } from '../config/layout.js';
import type { Database } from '../db/database.js';
import type { JobControl } from '../jobs/control.js';
import type { JobId } from '../jobs/job.js';
import type { JobService } from '../jobs/service.js';
import type { Outcome } from './outcome.js';
import type { RunningSource } from './running-sources.js';

/** The parts of the service that an ingest source may use. */
export interface IngestContext {
  config: Config;
  layout: Layout;
  log: Logger;
  db: Database;
  jobs: JobService;
  control: JobControl;
  /** GPUs that a job needs for the model in its arguments. */
  models: ModelNeeds;
  /** Lists the templates that there are. */
  commandKeys: () => Promise<readonly string[]>;
  /** GPUs that one job can have at most. */
  gpuCount: number;
  outcomeOf: (id: JobId, signal: AbortSignal) => Promise<Outcome>;
  now: () => number;
  /** Registers a release function; the service calls these in reverse order when it closes. */
  onClose: (release: () => Promise<void> | void) => void;
}

/** Opens and starts one ingest source; undefined where the settings do not ask for it. */
export type OpenIngestSource = (
  context: IngestContext,
) => RunningSource | undefined | Promise<RunningSource | undefined>;
