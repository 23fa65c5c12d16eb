import type { Stats } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';

/** A file of at least this many bytes goes by itself, and after a break from the byte where it stopped. */
const largeFile = 64 * 2 ** 20;
/** What goes together, and after a break again: at most so many bytes or names. */
const partBytes = 64 * 2 ** 20;
const partNames = 5000;

/** A dataset's tree in the parts it is sent in. Names are bytes, relative to the tree, `./` in front. */
export type TreePart =
  { kind: 'names'; names: Buffer[] } | { kind: 'file'; name: Buffer; executable: boolean };

/**
 * Cuts a dataset's tree into parts: each time in the same way, since nobody changes a dataset, so that a part's number says
 * which it is.
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

/** Each folder before what is in it, by the bytes of the names. */
async function* walk(root: Buffer, at: Buffer): AsyncGenerator<[Buffer, Stats], void, undefined> {
  const names: Buffer[] = [];
  // Node gives bytes here when asked to; its types know only strings (nodejs.org/api/fs.html#class-fsdirent).
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
 * The name of the one file of a tree that is the dataset's original itself, as it is for what is no archive; such a tree need
 * not be sent.
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
