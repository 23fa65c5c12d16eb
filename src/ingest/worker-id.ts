import { hostname } from 'node:os';
import type { Database } from '../db/database.js';
import { serverSuffix } from './claims.js';

/** The name this server claims under, where none is set: two boxes may have one host name, and a restart keeps it. */
export function workerIdOf(db: Database): string {
  const host = hostname()
    .replace(/[^A-Za-z0-9.-]/g, '')
    .slice(0, 80);
  return `${host || 'jobrunner'}-${serverSuffix(db)}`;
}
