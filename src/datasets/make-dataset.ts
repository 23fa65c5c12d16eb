import { rm } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Database } from '../db/database.js';
import type { UploadReservation } from './upload/reservations.js';
import type { Sha256 } from './digest.js';
import { displayName } from './display-name.js';
import { isWhole, seal, type DatasetFolders, type IncomingFolder } from './folders.js';
import type { ReceivedFile } from './upload/receive-file.js';
import { findDataset, putDataset, type Dataset } from './store.js';
import { unpack, type UnpackLimits } from './unpack.js';

/** Bytes received and hashed, not yet a dataset. */
export interface StagedUpload extends ReceivedFile {
  incoming: IncomingFolder;
  reservation: UploadReservation;
}

export interface KeepOptions {
  /** Whose it is if it is new. */
  owner: string;
  expectedSha?: Sha256 | undefined;
  /** What the sender calls the file; kept for display. */
  name?: string | undefined;
  /** Where it came from: `upload`, `put`, a URI. */
  source: string;
  signal?: AbortSignal | undefined;
}

export interface Kept {
  dataset: Dataset;
  /** False when it was there already, and good. */
  created: boolean;
}

export interface MakeParts {
  db: Database;
  folders: DatasetFolders;
  limits: UnpackLimits;
  now: () => number;
  log: Logger;
}

/**
 * Unpacks a staged upload, seals it, puts it into its place and writes it down, in that order, so that it is there whole or not at all.
 * To be called by one at a time for each digest.
 * @throws AppError archive_refused, quota_exceeded; the signal's reason.
 */
export async function makeDataset(
  { db, folders, limits, now, log }: MakeParts,
  { sha256, size, incoming, file, reservation }: StagedUpload,
  options: KeepOptions,
  signal: AbortSignal,
): Promise<Kept> {
  const known = findDataset(db, sha256);
  if (known?.corrupt === false && (await isWhole(folders.of(sha256), size)))
    return { dataset: known, created: false };

  const name = displayName(options.name);
  const step = (done: string) => log.debug({ sha256, step: done }, 'dataset');
  const { format, files, bytes } = await unpack(incoming, name, limits, signal);
  await file.sync();
  step('unpacked');
  reservation.reserve(size + bytes);
  const at = now();
  // Stored again in place of damaged bytes, it stays whose it was.
  const owner = known?.owner ?? options.owner;
  const dataset: Dataset = {
    ...{ sha256, owner, name, format, size, files, bytes, source: options.source },
    ...{ createdAt: at, verifiedAt: at, corrupt: false },
  };
  await seal(incoming, dataset);
  step('sealed');
  signal.throwIfAborted();
  await folders.publish(incoming, sha256);
  step('published');
  try {
    putDataset(db, dataset);
  } catch (error) {
    const aside = folders.setAside(sha256);
    if (aside !== undefined) await rm(aside, { recursive: true, force: true });
    throw error;
  }
  // It counts as stored from here on, and not twice.
  reservation.end();
  step('stored');
  return { dataset, created: true };
}
