import type { Database } from '../../../db/database.js';
import * as store from './store.js';

/**
 * Returns a sentence about outputs that an ended job's worker still has; undefined when there are
 * none.
 */
export function lateOutputs(db: Database, jobId: number): string | undefined {
  const row = store.findWorkerJob(db, jobId);
  return row === undefined || row.delivered
    ? undefined
    : `the outputs are still on ${row.worker}, which sends them as soon as possible`;
}
