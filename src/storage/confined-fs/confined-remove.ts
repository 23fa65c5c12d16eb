import { randomUUID } from 'node:crypto';
import { constants, open, opendir, rename, rmdir, unlink, type FileHandle } from 'node:fs/promises';
import { AppError, errnoOf } from '../../errors.js';
import { childPath, quote, refusal } from './confined-files.js';

/** One pass takes away one level, so this is also the deepest tree that can be removed at once. */
const maxPasses = 100_000;

/**
 * Removes a folder that somebody hostile can write in, with all it holds. `rm -r` by path could be led out: whoever puts a
 * link in a folder's place after it was listed has the same names removed elsewhere. Here every name is taken away below
 * the descriptor of the folder it was found in, and links go as links. Folders are first moved up to the top, so that neither
 * depth nor the length of a path matters.
 * @param path whose parent nobody else can write in; nothing happens if it does not exist.
 * @throws AppError conflict when something in it was closed to us, or goes on being filled.
 */
export async function removeConfined(path: string): Promise<void> {
  const top = await openFolder(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (top === undefined) return;
  try {
    for (let pass = 0; pass < maxPasses; pass++)
      if (!(await clearLevel(top, top)) && (await isRemoved(path))) return;
  } finally {
    await top.close();
  }
  throw new AppError('conflict', 'the job’s folder goes on being filled: try again later');
}

async function isRemoved(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOTEMPTY') return false;
    if (errnoOf(error) === 'ENOENT') return true;
    throw error;
  }
}

/** Removes what `folder` holds; the folders in it are emptied into `top`, or moved there. @returns whether it held any. */
async function clearLevel(folder: FileHandle, top: FileHandle): Promise<boolean> {
  let found = false;
  for await (const name of namesIn(folder)) {
    found = true;
    const child = childPath(folder, name);
    try {
      if (await unlinked(child)) continue;
      if (folder !== top) {
        await rename(child, childPath(top, `.removed-${randomUUID()}`));
        continue;
      }
      const sub = await openFolder(child);
      try {
        await clearLevel(sub, top);
      } finally {
        await sub.close();
      }
      await rmdir(child);
    } catch (error) {
      // Whoever else writes here was quicker; the next pass sees what is left.
      if (['ENOENT', 'ENOTEMPTY', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) continue;
      throw refusal(error, quote(name.toString()));
    }
  }
  return found;
}

/** False for a folder. */
async function unlinked(path: string | Buffer): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EISDIR') return false;
    throw error;
  }
}

function openFolder(path: string | Buffer): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

async function* namesIn(folder: FileHandle): AsyncGenerator<Buffer, void, undefined> {
  // Names as bytes, since a job's need not be UTF-8; Node's types know only strings here.
  const dir = await opendir(`/proc/self/fd/${folder.fd}`, { encoding: 'buffer' as 'utf8' });
  for await (const entry of dir) yield entry.name as unknown as Buffer;
}
