import { hostname } from 'node:os';
import type { Database } from '../db/database.js';
import { serverSuffix } from './claims.js';

/**
 * Makes this server’s name for claims where the settings have none. The suffix separates hosts of
 * one name and survives a restart.
 */
export function workerIdOf(db: Database): string {
  const host = hostname()
    .replace(/[^A-Za-z0-9.-]/g, '')
    .slice(0, 80);
  return `${host || 'jobrunner'}-${serverSuffix(db)}`;
}
