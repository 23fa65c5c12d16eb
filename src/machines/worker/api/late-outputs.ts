import type { Database } from '../../../db/database.js';
import * as store from './store.js';

/** Says that the outputs of an ended job are still to come from its worker; undefined when they are not. */
export function lateOutputs(db: Database, jobId: number): string | undefined {
  const row = store.findWorkerJob(db, jobId);
  return row === undefined || row.delivered
    ? undefined
    : `the outputs are still on ${row.worker}: they follow as soon as it can send them`;
}
