import { createHash } from 'node:crypto';
import type { ResultEntry } from './claim-record.js';
import type { FileChange } from './import-stream.js';
import type { Repository } from './repository.js';

/** A larger result stays where it is, and only its size and digest are committed. */
export interface ResultLimits {
  fileBytes: number;
  totalBytes: number;
  files: number;
}

/** A file that a job left; `path` is below the results folder. */
export interface ResultFile {
  path: string;
  /** Bytes. */
  size: number;
  open: () => Promise<AsyncIterable<Buffer>>;
}

/**
 * Puts the files that a job left among the repository's objects, in their order until a limit is reached, for the commit that ends
 * the job. What the repository has already, byte for byte, is left out.
 * @param resultsDir the folder in the repository
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
  let left = 0;
  for await (const file of files) {
    if (isUnfit(file.path)) {
      left += 1;
      continue;
    }
    const path = `${resultsDir}/${file.path}`;
    const { sha256, oid } = await digestsOf(file);
    if (known.get(path) === oid) continue;
    if (results.length >= limits.files) {
      left += 1;
      continue;
    }
    const committed = file.size <= limits.fileBytes && total + file.size <= limits.totalBytes;
    if (committed) {
      total += file.size;
      changes.push({ path, oid: await repository.store(file.size, await file.open(), signal) });
    }
    results.push({ path, size: file.size, sha256, committed });
  }
  return { results, files: changes, left };
}

/** Of a file's content, and of the object that git would make of it. */
async function digestsOf(file: ResultFile): Promise<{ sha256: string; oid: string }> {
  const sha256 = createHash('sha256');
  const oid = createHash('sha1').update(`blob ${file.size}\0`);
  for await (const chunk of await file.open()) {
    sha256.update(chunk);
    oid.update(chunk);
  }
  return { sha256: sha256.digest('hex'), oid: oid.digest('hex') };
}

/** No tree may hold such a name, or nobody could check it out. */
function isUnfit(path: string): boolean {
  return path
    .split('/')
    .some((name) => /^(\.{0,2}|\.git)$/i.test(name) || /[\0-\x1f\x7f]/.test(name));
}
