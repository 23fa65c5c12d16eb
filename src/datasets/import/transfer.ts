import type { Readable } from 'node:stream';
import { abortWith } from '../../abort.js';
import { AppError } from '../../errors.js';
import type { ObjectStore } from '../../storage/object-store/object-store.js';
import type { Sha256 } from '../digest.js';
import { ImportBody } from './body.js';
import { listTree, surveyTree } from './listing.js';
import { tarOfTree } from './tree.js';
import { formatLocation, type ImportLocation } from './uri.js';

/** The part of the dataset service that imports use. */
export interface DatasetReceiver {
  /** Tells whether a good dataset with that digest is stored. */
  exists(sha256: Sha256): boolean;
  receive(
    body: Readable,
    options: {
      owner: string;
      expectedSha?: Sha256;
      name?: string;
      source: string;
      signal?: AbortSignal;
    },
  ): Promise<{ dataset: { sha256: Sha256 }; created: boolean }>;
}

/** Bytes of objects, not of the tar around them; `total` is known once the storage has answered. */
export interface Progress {
  done: number;
  total: number | null;
}

export interface Transfer {
  owner: string;
  location: ImportLocation;
  expectedSha: Sha256 | undefined;
  name: string | undefined;
  limits: { uploadBytes: number; extractFiles: number };
}

/**
 * Streams an object, or a tree as a tar, from the storage into a dataset. Fetches nothing if the
 * expected dataset is stored already.
 * @param progress is kept up to date meanwhile
 * @returns the dataset's digest
 * @throws AppError as the storage and the receiver do; the signal's reason when aborted
 */
export async function transfer(
  store: ObjectStore,
  datasets: DatasetReceiver,
  what: Transfer,
  progress: Progress,
  signal: AbortSignal,
): Promise<Sha256> {
  const { location, owner, expectedSha, name } = what;
  if (expectedSha && datasets.exists(expectedSha)) return expectedSha;
  const ended = new AbortController();
  abortWith(ended, signal);
  const open = location.kind === 'tree' ? openTree : openObject;
  const body = new ImportBody(await open(store, what, progress, ended.signal), ended);
  try {
    const { dataset } = await datasets.receive(body, {
      owner,
      ...(expectedSha && { expectedSha }),
      name: name ?? nameOf(location),
      source: formatLocation(location),
      signal,
    });
    return dataset.sha256;
  } catch (error) {
    // The receiver only knows that its input broke; the body knows why.
    throw body.failure ?? error;
  } finally {
    body.destroy();
  }
}

async function openObject(
  store: ObjectStore,
  { location, limits }: Transfer,
  progress: Progress,
  signal: AbortSignal,
): Promise<AsyncGenerator<Buffer>> {
  const object = await store.stat(location.bucket, location.key, signal);
  refuseTooLarge(location, object.size, limits.uploadBytes);
  progress.total = object.size;
  return counted(store.read(location.bucket, object, signal), progress);
}

async function openTree(
  store: ObjectStore,
  { location, limits }: Transfer,
  progress: Progress,
  signal: AbortSignal,
): Promise<AsyncGenerator<Buffer>> {
  const survey = await surveyTree(listTree(store, location, signal), limits);
  if (survey.entries === 0)
    throw new AppError(
      'storage_not_found',
      `${formatLocation(location)}: no objects under this prefix`,
    );
  refuseTooLarge(location, survey.bytes, limits.uploadBytes);
  progress.total = survey.bytes;
  const count = (bytes: number) => {
    progress.done += bytes;
  };
  return tarOfTree(store, location, survey, count, signal);
}

async function* counted(
  chunks: AsyncGenerator<Buffer>,
  progress: Progress,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    progress.done += chunk.length;
    yield chunk;
  }
}

function refuseTooLarge(location: ImportLocation, size: number, limit: number): void {
  if (limit > 0 && size > limit)
    throw new AppError(
      'too_large',
      `${formatLocation(location)}: ${size} bytes, more than the ${limit} allowed (JR_MAX_UPLOAD_GB)`,
      { details: { size, limit } },
    );
}

function nameOf({ bucket, key }: ImportLocation): string {
  return key.split('/').findLast((part) => part !== '') ?? bucket;
}
