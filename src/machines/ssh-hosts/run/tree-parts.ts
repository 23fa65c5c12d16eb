import type { Stats } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * A file of at least this many bytes is sent alone. After a break its transfer resumes at the byte
 * where it stopped.
 */
const largeFile = 64 * 2 ** 20;
/** The most bytes or names in one part, which is sent again after a break. */
const partBytes = 64 * 2 ** 20;
const partNames = 5000;

/** One part of a dataset's tree. Names are bytes, relative to the tree, with `./` in front. */
export type TreePart =
  { kind: 'names'; names: Buffer[] } | { kind: 'file'; name: Buffer; executable: boolean };

/**
 * Cuts a dataset's tree into parts, always in the same way: nobody changes a dataset, so a part's
 * number identifies it.
 */
export async function* treeParts(tree: string): AsyncGenerator<TreePart, void, undefined> {
  let names: Buffer[] = [];
  let bytes = 0;
  for await (const [name, stats] of walk(Buffer.from(tree), Buffer.from('.'))) {
    if (stats.isFile() && stats.size >= largeFile) {
      yield { kind: 'file', name, executable: (stats.mode & 0o111) !== 0 };
      continue;
    }
    names.push(name);
    bytes += stats.isFile() ? stats.size : 0;
    if (bytes < partBytes && names.length < partNames) continue;
    yield { kind: 'names', names };
    names = [];
    bytes = 0;
  }
  if (names.length > 0) yield { kind: 'names', names };
}

/** Walks a tree: each folder before its content, ordered by the bytes of the names. */
async function* walk(root: Buffer, at: Buffer): AsyncGenerator<[Buffer, Stats], void, undefined> {
  const names: Buffer[] = [];
  // Node returns bytes here when asked to; its types know only strings
  // (nodejs.org/api/fs.html#class-fsdirent).
  const dir = await opendir(joined(root, at), { encoding: 'buffer' as 'utf8' });
  for await (const entry of dir) names.push(entry.name as unknown as Buffer);
  for (const name of names.sort((a, b) => Buffer.compare(a, b))) {
    const path = joined(at, name);
    const stats = await lstat(joined(root, path));
    yield [path, stats];
    if (stats.isDirectory()) yield* walk(root, path);
  }
}

const joined = (a: Buffer, b: Buffer) => Buffer.concat([a, Buffer.from('/'), b]);

/**
 * Returns the name of a tree's only file when that is the dataset's original itself, as with a
 * dataset that is no archive. Such a tree need not be sent.
 */
export async function soleName(dataset: {
  original: string;
  tree: string;
}): Promise<string | undefined> {
  const original = await lstat(dataset.original);
  if (original.nlink < 2) return undefined;
  for await (const entry of await opendir(dataset.tree)) {
    const stats = await lstat(join(dataset.tree, entry.name));
    return stats.ino === original.ino && stats.dev === original.dev ? entry.name : undefined;
  }
  return undefined;
}
