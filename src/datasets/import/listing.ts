import { createHash } from 'node:crypto';
import { AppError } from '../../errors.js';
import type { ObjectStore, StoredObject } from '../../storage/object-store/object-store.js';
import { formatLocation, type ImportLocation } from './uri.js';

/** One object of a tree, and its path in the archive. */
export interface TreeEntry {
  object: StoredObject;
  path: string;
  kind: 'file' | 'folder';
}

/** The sums of a listing; `fingerprint` changes whenever the listing does. */
export interface TreeSurvey {
  entries: number;
  bytes: number;
  fingerprint: string;
}

/**
 * Yields the objects under a prefix as paths, in the order of their keys. An empty object whose key
 * ends in `/` is a folder, as storage consoles make it. For any length of listing, this keeps only
 * the files whose keys begin the current key.
 * @throws AppError unprocessable naming the key that cannot be a path; any error of the store
 */
export async function* listTree(
  store: ObjectStore,
  location: ImportLocation,
  signal: AbortSignal,
): AsyncGenerator<TreeEntry> {
  let previous: Buffer | undefined;
  const files: string[] = [];
  for await (const object of store.list(location.bucket, location.key, signal)) {
    const bytes = Buffer.from(object.key);
    if (previous !== undefined && previous.compare(bytes) >= 0)
      throw new AppError(
        'unprocessable',
        `${formatLocation(location)}: this storage lists its objects in no order; import an archive instead`,
      );
    previous = bytes;
    const entry = toEntry(object, location);
    if (entry === undefined) continue;
    refuseFileAsFolder(files, object.key, location.bucket);
    if (entry.kind === 'file') files.push(object.key);
    yield entry;
  }
}

/** Goes through a listing once before any object is read, so that a bad one is refused at once. */
export async function surveyTree(
  entries: AsyncIterable<TreeEntry>,
  limits: { uploadBytes: number; extractFiles: number },
): Promise<TreeSurvey> {
  const surveyor = new Surveyor();
  for await (const entry of entries) {
    surveyor.add(entry);
    if (limits.extractFiles > 0 && surveyor.entries > limits.extractFiles)
      throw new AppError(
        'too_large',
        `more than ${limits.extractFiles} objects (JR_MAX_EXTRACT_FILES); import an archive or a part`,
      );
  }
  return surveyor.result();
}

export class Surveyor {
  entries = 0;
  #bytes = 0;
  readonly #hash = createHash('sha256');

  add({ object }: TreeEntry): void {
    this.entries += 1;
    this.#bytes += object.size;
    this.#hash.update(`${object.key}\0${object.size}\0${object.etag}\0`);
  }

  result(): TreeSurvey {
    return { entries: this.entries, bytes: this.#bytes, fingerprint: this.#hash.digest('hex') };
  }
}

function toEntry(object: StoredObject, location: ImportLocation): TreeEntry | undefined {
  const isFolder = object.key.endsWith('/');
  const path = object.key.slice(location.key.length, isFolder ? -1 : undefined);
  const refuse = (why: string) => {
    throw new AppError('unprocessable', `s3://${location.bucket}/${object.key}: ${why}`);
  };
  if (isFolder && object.size > 0) refuse('a key that ends in / but holds bytes has no file name');
  if (isFolder && object.key.length <= location.key.length) return undefined;
  for (const part of path.split('/')) {
    if (part === '') refuse('a key with an empty part (//, or / at the start) is not a path');
    if (part === '.' || part === '..') refuse(`a key with ${part} in it is not a path`);
    if (part.includes('\0')) refuse('a key with a NUL in it is not a path');
    if (Buffer.byteLength(part) > 255) refuse('a part of the key is longer than 255 bytes');
  }
  return { object, path, kind: isFolder ? 'folder' : 'file' };
}

/**
 * Refuses a key that lies below a file.
 * @param files earlier file keys that may begin this one; in key order they are neighbours
 */
function refuseFileAsFolder(files: string[], key: string, bucket: string): void {
  while (files.length > 0 && !key.startsWith(files.at(-1) ?? '')) files.pop();
  const file = files.find((candidate) => key.startsWith(`${candidate}/`));
  if (file !== undefined)
    throw new AppError(
      'unprocessable',
      `s3://${bucket}/${file}: both a file and a folder (${key}); rename one`,
    );
}
