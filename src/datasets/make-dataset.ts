import { rm } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Database } from '../db/database.js';
import { AppError } from '../errors.js';
import type { UploadReservation } from './upload/reservations.js';
import type { Sha256 } from './digest.js';
import { displayName } from './display-name.js';
import { isWhole, seal, type DatasetFolders, type IncomingFolder } from './folders.js';
import type { ReceivedFile } from './upload/receive-file.js';
import { findDataset, putDataset, type Dataset } from './store.js';
import { unpack, type UnpackLimits } from './unpack.js';

/** Bytes that were received and hashed but are no dataset yet. */
export interface StagedUpload extends ReceivedFile {
  incoming: IncomingFolder;
  reservation: UploadReservation;
}

export interface KeepOptions {
  /** The owner, if the dataset is new. */
  owner: string;
  expectedSha?: Sha256 | undefined;
  /** The sender's name for the file; kept for display. */
  name?: string | undefined;
  /** The origin: `upload`, `put` or a URI. */
  source: string;
  signal?: AbortSignal | undefined;
}

export interface Kept {
  dataset: Dataset;
  /** False when a good copy was stored already. */
  created: boolean;
}

/** Finds a dataset of which a good copy is stored. @param size of the original, in bytes */
export async function findWhole(
  db: Database,
  folders: DatasetFolders,
  sha256: Sha256,
  size: number,
): Promise<Dataset | undefined> {
  const known = findDataset(db, sha256);
  if (known === undefined || known.corrupt) return undefined;
  return (await isWhole(folders.of(sha256), size)) ? known : undefined;
}

export interface MakeParts {
  db: Database;
  folders: DatasetFolders;
  limits: Omit<UnpackLimits, 'roomBytes'>;
  now: () => number;
  log: Logger;
}

/**
 * Unpacks a staged upload, seals it, publishes its folder and writes its row, in that order. So the
 * dataset is stored as a whole or not at all. Never run two of these for one digest at once.
 * @throws AppError archive_refused, quota_exceeded; the signal's reason
 */
export async function makeDataset(
  { db, folders, limits, now, log }: MakeParts,
  { sha256, size, incoming, file, reservation }: StagedUpload,
  options: KeepOptions,
  signal: AbortSignal,
): Promise<Kept> {
  const stored = await findWhole(db, folders, sha256, size);
  if (stored !== undefined) return { dataset: stored, created: false };
  const known = findDataset(db, sha256);

  const name = displayName(options.name);
  const step = (done: string) => log.debug({ sha256, step: done }, 'dataset');
  const roomBytes = Math.max(0, reservation.room() - size);
  const { format, files, bytes } = await unpack(
    incoming,
    name,
    { ...limits, roomBytes },
    signal,
  ).catch((error: unknown) => {
    // Names the figures, unless the owner has deleted something meanwhile.
    if (error instanceof AppError && error.code === 'quota_exceeded')
      reservation.reserve(size + roomBytes + 1);
    throw error;
  });
  await file.sync();
  step('unpacked');
  // The tree of a plain file is another name of the file.
  reservation.reserve(format === 'file' ? size : size + bytes);
  const at = now();
  // An upload that replaces damaged bytes does not change the owner.
  const owner = known?.owner ?? options.owner;
  const dataset: Dataset = {
    sha256,
    owner,
    name,
    format,
    size,
    files,
    bytes,
    source: options.source,
    createdAt: at,
    verifiedAt: at,
    corrupt: false,
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
  // The dataset counts as stored from here on; the reservation must not count it again.
  reservation.end();
  step('stored');
  return { dataset, created: true };
}
