import type { Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';

/**
 * One thing in a tree. `path` is relative, one character for one byte (latin1), so that a name that is not UTF-8 stays
 * what it is.
 */
export interface TreeEntry {
  path: string;
  stats: Stats;
}

/**
 * Everything in a dataset's tree, folders before what is in them, in byte order of the names.
 * @param after starts behind this path.
 */
export async function* walkTree(
  root: string,
  after = '',
  under = '',
): AsyncGenerator<TreeEntry, void, undefined> {
  const [skipTo = '', ...deeper] = after.split('/');
  const names = await readdir(pathInTree(root, under), { encoding: 'latin1' });
  for (const name of names.sort()) {
    if (name < skipTo) continue;
    const path = under === '' ? name : `${under}/${name}`;
    const stats = await lstat(pathInTree(root, path));
    if (name !== skipTo) yield { path, stats };
    if (stats.isDirectory()) yield* walkTree(root, name === skipTo ? deeper.join('/') : '', path);
  }
}

/** What the file system calls take for an entry's path. */
export function pathInTree(root: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')]);
}
