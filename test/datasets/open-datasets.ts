import { pino } from 'pino';
import { DatasetService, type DatasetServiceParts } from '../../src/datasets/service.js';
import type { Database } from '../../src/db/database.js';

/** Makes a store without limits and log, but for the given parts. The caller starts it. */
export function openDatasets(
  db: Database,
  root: string,
  parts: Partial<DatasetServiceParts> = {},
): DatasetService {
  return new DatasetService({
    db,
    root,
    limits: { uploadBytes: 0, extractBytes: 0, extractFiles: 0 },
    now: Date.now,
    log: pino({ level: 'silent' }),
    isInUse: () => false,
    room: { roomFor: () => Infinity, ensureRoomFor: () => undefined },
    ...parts,
  });
}
