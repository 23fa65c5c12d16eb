import { existsSync } from 'node:fs';
import { openToRead } from '../db/database.js';
import { lastSlurmJob } from './store.js';

/** Returns the greatest number that Slurm has given a job; 0 without a database. */
export function lastSlurmJobIn(databasePath: string): number {
  if (!existsSync(databasePath)) return 0;
  const db = openToRead(databasePath);
  try {
    return db.pragma('user_version', { simple: true }) === 0 ? 0 : lastSlurmJob(db);
  } finally {
    db.close();
  }
}
