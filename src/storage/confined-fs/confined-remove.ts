import { randomUUID } from 'node:crypto';
import { constants, open, opendir, rename, rmdir, unlink, type FileHandle } from 'node:fs/promises';
import { AppError, errnoOf } from '../../errors.js';
import { childPath } from './confined-handles.js';
import { quote, refusal } from './refusals.js';

/** Each pass removes one level, so this is also the greatest depth that one call can remove. */
const maxPasses = 100_000;

/**
 * Removes a folder with all its content, even when somebody hostile can write in it. `rm -r` by
 * path could be led outside: an attacker who replaces a listed folder with a link has names removed
 * elsewhere. Here each name is removed below the descriptor of its folder, and links are removed as
 * links. Folders are first moved to the top, so neither depth nor path length matters.
 * @param path in a folder that nobody else can write in; a missing path is no error
 * @throws AppError conflict when the content denies access, or when somebody keeps filling the
 *   folder
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
  throw new AppError('conflict', 'the job’s folder keeps being filled: try again later');
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

/**
 * Removes the content of `folder`; its subfolders are emptied into `top`, or moved there. @returns
 * whether it had any
 */
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
      // Another process changed the name first; the next pass handles the rest.
      if (['ENOENT', 'ENOTEMPTY', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) continue;
      throw refusal(error, quote(name.toString()));
    }
  }
  return found;
}

/** Removes a file or link. @returns false for a folder */
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
  // Names as bytes, since a job's need not be UTF-8; Node's types only know strings here.
  const dir = await opendir(`/proc/self/fd/${folder.fd}`, { encoding: 'buffer' as 'utf8' });
  for await (const entry of dir) yield entry.name as unknown as Buffer;
}
