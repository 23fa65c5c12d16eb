import type { Logger } from 'pino';
import type { Config } from '../config/config.js';
import type { Database } from '../db/database.js';
import type { Layout } from '../config/layout.js';
import type { LiveJobs } from '../jobs/live-jobs.js';

/** Dependencies of every part of the service. */
export interface Base {
  config: Config;
  layout: Layout;
  log: Logger;
  db: Database;
  liveJobs: LiveJobs;
  now: () => number;
  /** Registers a function that closes an opened part; called in reverse order. */
  onClose: (release: () => Promise<void> | void) => void;
}
