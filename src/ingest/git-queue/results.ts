import { createHash } from 'node:crypto';
import { AppError, errnoOf } from '../../errors.js';
import type { ResultEntry } from './claim-record.js';
import { isUnfitPath } from './git-names.js';
import type { FileChange } from './import-stream.js';
import type { Repository } from './repository.js';

/** Limits for committed results. Of a larger result only the size and the digest are committed. */
export interface ResultLimits {
  fileBytes: number;
  totalBytes: number;
  files: number;
}

/** Maximum length of the list of results; it must fit into the claim. */
const maxListBytes = 96 * 1024;
/** Maximum of bytes read of a job’s results: one ftruncate(2) can make a file of exabytes. */
const maxReadBytes = 16 * 1024 ** 3;

/** A file that a job left; `path` is below the results folder. */
export interface ResultFile {
  path: string;
  /** Bytes. */
  size: number;
  open: () => Promise<AsyncIterable<Buffer>>;
}

/**
 * Stores the files that a job left as objects of the repository, in their order until a limit is
 * reached. The commit that ends the job then includes them. Files that the repository already has,
 * byte for byte, are skipped.
 * @param resultsDir the folder in the repository
 * @returns `left`: number of files left out because they are too many, too large to read,
 *   unreadable, or have names that no tree may hold
 */
export async function storeResults(
  repository: Repository,
  base: string,
  resultsDir: string,
  files: AsyncIterable<ResultFile>,
  limits: ResultLimits,
  signal?: AbortSignal,
): Promise<{ results: ResultEntry[]; files: FileChange[]; left: number }> {
  const known = new Map(
    (await repository.list(base, [`${resultsDir}/`], signal)).map(({ path, oid }) => [path, oid]),
  );
  const results: ResultEntry[] = [];
  const changes: FileChange[] = [];
  let total = 0;
  let read = 0;
  let listBytes = 0;
  let left = 0;
  for await (const file of files) {
    const path = `${resultsDir}/${file.path}`;
    const isTooMuch = read + file.size > maxReadBytes || results.length >= limits.files;
    if (isTooMuch || isUnfit(file.path)) {
      left += 1;
      continue;
    }
    const digests = await orFault(digestsOf(file, signal));
    read += file.size;
    if (digests instanceof Fault) {
      left += 1;
      continue;
    }
    if (known.get(path) === digests.oid) continue;
    const fits = file.size <= limits.fileBytes && total + file.size <= limits.totalBytes;
    const entry = { path, size: file.size, sha256: digests.sha256, committed: fits };
    listBytes += Buffer.byteLength(JSON.stringify(entry, null, 2)) + 40;
    const oid =
      fits && listBytes <= maxListBytes ? await storeFile(repository, file, signal) : undefined;
    if (listBytes > maxListBytes || oid instanceof Fault) {
      left += 1;
      continue;
    }
    if (oid !== undefined) {
      total += file.size;
      changes.push({ path, oid });
    }
    results.push(entry);
  }
  return { results, files: changes, left };
}

/**
 * An error that leaves out one file only: its owner may still change it, or may have closed it to
 * us.
 */
class Fault {
  constructor(readonly error: unknown) {}
}

async function orFault<T>(work: Promise<T>): Promise<T | Fault> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof AppError || error instanceof Changed || errnoOf(error) !== undefined)
      return new Fault(error);
    throw error;
  }
}

class Changed extends Error {
  override readonly name = 'Changed';
}

async function storeFile(
  repository: Repository,
  file: ResultFile,
  signal?: AbortSignal,
): Promise<string | Fault> {
  const opened = await orFault(file.open());
  if (opened instanceof Fault) return opened;
  let fault: Fault | undefined;
  async function* watched(bytes: AsyncIterable<Buffer>) {
    try {
      yield* ofSize(bytes, file.size);
    } catch (error) {
      fault = new Fault(error);
      throw error;
    }
  }
  try {
    return await repository.store(file.size, watched(opened), signal);
  } catch (error) {
    if (fault === undefined) throw error;
    return fault;
  }
}

/** Passes the bytes on. @throws Changed when their number differs from `size` */
async function* ofSize(bytes: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let seen = 0;
  for await (const chunk of bytes) {
    seen += chunk.length;
    if (seen > size) break;
    yield chunk;
  }
  if (seen !== size) throw new Changed('a file changed while it was read');
}

/** Computes the digest of a file’s content, and the id of the git object that it would become. */
async function digestsOf(
  file: ResultFile,
  signal?: AbortSignal,
): Promise<{ sha256: string; oid: string }> {
  const sha256 = createHash('sha256');
  const oid = createHash('sha1').update(`blob ${file.size}\0`);
  for await (const chunk of ofSize(await file.open(), file.size)) {
    signal?.throwIfAborted();
    sha256.update(chunk);
    oid.update(chunk);
  }
  return { sha256: sha256.digest('hex'), oid: oid.digest('hex') };
}

function isUnfit(path: string): boolean {
  return isUnfitPath(path) || /[\0-\x1f\x7f]/.test(path);
}
