import { readlink } from 'node:fs/promises';
import { fieldError } from '../errors.js';
import { pathInTree, walkTree } from './walk-tree.js';

export interface ListedFile {
  path: string;
  /** Bytes. */
  size: number;
  /** A link's target. */
  link?: string;
}

export interface FilePage {
  files: ListedFile[];
  /** The value of `after` for the next page; absent on the last. */
  next?: string;
}

/**
 * Lists up to `limit` files and links of a tree, in byte order.
 * @throws AppError bad_request when `after` is not from an earlier page
 */
export async function listFiles(
  tree: string,
  { limit, after }: { limit: number; after?: string | undefined },
): Promise<FilePage> {
  const files: ListedFile[] = [];
  let last = '';
  for await (const { path, stats } of walkTree(
    tree,
    after === undefined ? '' : readCursor(after),
  )) {
    if (stats.isDirectory()) continue;
    if (files.length === limit)
      return { files, next: Buffer.from(last, 'latin1').toString('base64url') };
    last = path;
    files.push({
      path: shown(Buffer.from(path, 'latin1')),
      size: stats.size,
      ...(stats.isSymbolicLink() && {
        link: shown(await readlink(pathInTree(tree, path), { encoding: 'buffer' })),
      }),
    });
  }
  return { files };
}

function readCursor(after: string): string {
  const path = Buffer.from(after, 'base64url');
  if (path.length === 0 || path.toString('base64url') !== after)
    throw fieldError('bad_request', 'after', 'expected the "next" of the previous page');
  return path.toString('latin1');
}

function shown(path: Buffer): string {
  return path.toString('utf8');
}
