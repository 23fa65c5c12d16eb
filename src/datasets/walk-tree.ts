import type { Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';

/**
 * An entry of a tree. `path` is relative and has one character for each byte (latin1), which keeps
 * names that are not UTF-8 unchanged.
 */
export interface TreeEntry {
  path: string;
  stats: Stats;
}

/**
 * Yields everything in a dataset's tree, in byte order of the names; a folder comes before its
 * content.
 * @param after the path after which to start
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

/** Builds an entry's path as the file system calls take it. */
export function pathInTree(root: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')]);
}
