import { isUtf8 } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import { constants, open, readlink, type FileHandle } from 'node:fs/promises';
import { AppError } from '../../errors.js';
import {
  childPath,
  O_PATH,
  openChild,
  openRegular,
  type ConfinedFile,
} from './confined-handles.js';
import { splitConfinedPath } from './confined-path.js';
import { quote, refusal, refused } from './refusals.js';

/*
 * A job owns its folder and may rename, link and replace anything in it while we read. So checking
 * a path proves nothing about the file that is opened next. Therefore each name is opened below the
 * descriptor of its folder, never through a link, and checked by fstat(2) after opening.
 * `/proc/self/fd/<n>/<name>` replaces Linux's openat(2), which Node lacks; see proc_pid_fd(5).
 * Links are read as text and walked in the same way.
 */

const maxDepth = 64;
const maxLinks = 16;
const maxSteps = 1024;

export interface ConfinedFolder {
  kind: 'folder';
  /** An O_PATH handle for {@link childPath} and fstat; the caller closes it. */
  handle: FileHandle;
  stats: BigIntStats;
}

/**
 * Opens a regular file in a folder that somebody hostile owns, whatever they rename or link
 * meanwhile. Follows links that stay inside `rootDir`.
 * @param relPath UTF-8, relative to `rootDir`
 * @returns a handle for reading a regular file that has only one name
 * @throws AppError bad_request (malformed path, or a folder), not_found (missing, or of a kind that
 *   is not served: a link out of the folder, a hard link, a fifo, a device, a socket), conflict
 *   (the job denies access)
 */
export async function openConfined(rootDir: string, relPath: string): Promise<FileHandle> {
  const entry = await openConfinedEntry(rootDir, relPath);
  if (entry.kind === 'file') return entry.handle;
  await entry.handle.close();
  throw new AppError('bad_request', `${quote(relPath)} is a folder; name a file in it`, {
    details: { reason: 'folder' },
  });
}

/** Opens a file like {@link openConfined}, or a folder; `.` is `rootDir` itself. */
export async function openConfinedEntry(
  rootDir: string,
  relPath: string,
): Promise<ConfinedFile | ConfinedFolder> {
  const names = splitConfinedPath(relPath);
  const root = await openRoot(rootDir);
  const way = [root];
  try {
    return await descend(way, names, rootDir, quote(relPath));
  } finally {
    for (const handle of way) await handle.close();
  }
}

async function openRoot(rootDir: string): Promise<FileHandle> {
  try {
    return await open(rootDir, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    throw refusal(error, 'the job’s folder');
  }
}

/** Walks `names` from the folder in `way[0]`. The caller closes each folder left in `way`. */
async function descend(
  way: FileHandle[],
  names: string[],
  rootDir: string,
  shown: string,
): Promise<ConfinedFile | ConfinedFolder> {
  const ahead = [...names].reverse();
  let links = 0;
  for (let steps = 0; ; steps++) {
    if (steps > maxSteps || way.length > maxDepth) throw refused('too_deep', shown);
    const name = ahead.pop();
    const here = way.at(-1);
    if (here === undefined) throw new Error('a descent lost its root');
    if (name === undefined) {
      way.pop();
      return { kind: 'folder', handle: here, stats: await statOrClose(here) };
    }
    if (name === '..') {
      // Only the text of a link can hold "..". The folders above stay open, so no name is looked up
      // to go up.
      if (way.length === 1) throw refused('leaves_folder', shown);
      way.pop();
      await here.close();
      continue;
    }
    const child = await openChild(here, name).catch((error: unknown) => {
      throw refusal(error, shown);
    });
    const stats = await statOrClose(child);
    if (stats.isDirectory()) {
      way.push(child);
      continue;
    }
    try {
      if (stats.isSymbolicLink()) {
        if (++links > maxLinks) throw refused('link_loop', shown);
        const target = await linkTarget(here, name, way, rootDir, shown);
        ahead.push(...target.reverse());
        continue;
      }
      if (ahead.length > 0) throw refused('missing', shown);
      return await openRegular(child, stats, shown);
    } finally {
      await child.close();
    }
  }
}

/**
 * Splits a link's target into names. For an absolute target, which must lie under the root, `way`
 * is cut back to the root.
 */
async function linkTarget(
  folder: FileHandle,
  name: string,
  way: FileHandle[],
  rootDir: string,
  shown: string,
): Promise<string[]> {
  const bytes = await readlink(childPath(folder, name), { encoding: 'buffer' }).catch(
    (error: unknown) => {
      throw refusal(error, shown);
    },
  );
  if (!isUtf8(bytes)) throw refused('bad_name', shown);
  const target = bytes.toString();
  if (!target.startsWith('/')) return namesOf(target);
  // Jobs write absolute links from $JR_OUTPUT_DIR, which is our rootDir as the job sees it.
  const inside = `${rootDir.replace(/\/+$/, '')}/`;
  if (!target.startsWith(inside)) throw refused('leaves_folder', shown);
  for (const handle of way.splice(1)) await handle.close();
  return namesOf(target.slice(inside.length));
}

function namesOf(target: string): string[] {
  return target.split('/').filter((name) => name !== '' && name !== '.');
}

async function statOrClose(handle: FileHandle): Promise<BigIntStats> {
  try {
    return await handle.stat({ bigint: true });
  } catch (error) {
    await handle.close();
    throw error;
  }
}
