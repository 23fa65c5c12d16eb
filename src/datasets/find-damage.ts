import { open, readlink, rm } from 'node:fs/promises';
import { errnoOf } from '../errors.js';
import { extractArchive } from './archive/extract-archive.js';
import type { DatasetFolders, DatasetPaths } from './folders.js';
import { isWhole } from './folders.js';
import { BUFFER_BYTES, type BufferPool, type PooledBuffer } from './upload/buffer-pool.js';
import type { HashThread } from './upload/hash-thread.js';
import type { Dataset } from './store.js';
import { pathInTree, walkTree, type TreeEntry } from './walk-tree.js';

export interface DamageSearch {
  dataset: Dataset;
  folders: DatasetFolders;
  hashThread: HashThread;
  buffers: BufferPool;
  signal: AbortSignal;
}

/**
 * Reads every stored byte. Compares the original with its digest, then the tree with a second
 * unpacking of the original. docs/decisions/verify-by-unpacking-again.md says why there is no list
 * of digests.
 * @returns the problem in words; undefined when all is well
 * @throws AppError disk_full when the second tree does not fit; the first may still be good
 */
export async function findDamage(search: DamageSearch): Promise<string | undefined> {
  const { dataset, folders } = search;
  const stored = folders.of(dataset.sha256);
  if (!(await isWhole(stored, dataset.size)))
    return 'the original or the tree is missing, or the original has another size';
  try {
    if ((await hashFile(stored.original, search)) !== dataset.sha256)
      return 'the original no longer has the SHA-256 of the upload';
  } catch (error) {
    if (isUnreadable(error)) return 'the original cannot be read from the disk';
    throw error;
  }
  const fresh = await folders.makeIncoming();
  try {
    await extractArchive(
      stored.original,
      fresh.tree,
      { maxBytes: 0, maxFiles: 0 },
      {
        originalName: dataset.name,
        signal: search.signal,
        fileGroup: fresh.gid,
      },
    );
    return await firstDifference(fresh, stored, search.signal);
  } finally {
    await rm(fresh.holder, { recursive: true, force: true });
  }
}

async function hashFile(
  path: string,
  { hashThread, buffers, signal }: DamageSearch,
): Promise<string> {
  const file = await open(path, 'r');
  const hashing = hashThread.begin();
  let buffer = buffers.take();
  const onBack = (back: PooledBuffer) => {
    buffer = back;
  };
  try {
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(buffer, 0, BUFFER_BYTES, null);
      if (bytesRead === 0) return await hashing.digest();
      await hashing.update(buffer, bytesRead, onBack);
    }
  } catch (error) {
    await hashing.drop();
    throw error;
  } finally {
    buffers.giveBack(buffer);
    await file.close();
  }
}

async function firstDifference(
  good: DatasetPaths,
  stored: DatasetPaths,
  signal: AbortSignal,
): Promise<string | undefined> {
  const storedEntries = walkTree(stored.tree);
  for await (const entry of walkTree(good.tree)) {
    signal.throwIfAborted();
    const other = await storedEntries.next();
    const name = shown(entry.path);
    if (other.done) return `${name} is missing from the tree`;
    if (other.value.path !== entry.path)
      return other.value.path < entry.path
        ? `${shown(other.value.path)} does not belong in the tree`
        : `${name} is missing from the tree`;
    if (!(await isSame(good.tree, entry, stored.tree, other.value)))
      return `${name} in the tree differs from the uploaded archive`;
  }
  const extra = await storedEntries.next();
  return extra.done ? undefined : `${shown(extra.value.path)} does not belong in the tree`;
}

async function isSame(
  goodTree: string,
  good: TreeEntry,
  tree: string,
  stored: TreeEntry,
): Promise<boolean> {
  const a = good.stats;
  const b = stored.stats;
  // One file under two names: a tree of just the original links to it, and its bytes were hashed.
  if (a.dev === b.dev && a.ino === b.ino) return true;
  if (a.mode !== b.mode) return false;
  const path = pathInTree(tree, stored.path);
  const goodPath = pathInTree(goodTree, good.path);
  if (a.isSymbolicLink()) return (await readlink(path)) === (await readlink(goodPath));
  if (!a.isFile()) return true;
  if (a.size !== b.size) return false;
  try {
    return await haveSameBytes(goodPath, path);
  } catch (error) {
    if (isUnreadable(error)) return false;
    throw error;
  }
}

async function haveSameBytes(left: Buffer, right: Buffer): Promise<boolean> {
  const a = await open(left, 'r');
  try {
    const b = await open(right, 'r');
    try {
      const fromA = Buffer.allocUnsafe(BUFFER_BYTES);
      const fromB = Buffer.allocUnsafe(BUFFER_BYTES);
      for (;;) {
        const [x, y] = await Promise.all([a.read(fromA), b.read(fromB)]);
        if (x.bytesRead !== y.bytesRead) return false;
        if (x.bytesRead === 0) return true;
        if (fromA.compare(fromB, 0, x.bytesRead, 0, x.bytesRead) !== 0) return false;
      }
    } finally {
      await b.close();
    }
  } finally {
    await a.close();
  }
}

/** Tells whether the disk itself can no longer read the bytes. */
function isUnreadable(error: unknown): boolean {
  return ['EIO', 'EUCLEAN', 'EBADMSG'].includes(errnoOf(error) ?? '');
}

function shown(path: string): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}
