import type { BigIntStats } from 'node:fs';
import { constants, open, readlink, type FileHandle } from 'node:fs/promises';
import { refusal, refused } from './refusals.js';

/**
 * O_PATH of open(2), which Node does not name: such a handle neither reads, nor waits for a fifo,
 * nor wakes a device.
 */
export const O_PATH = 0o10000000;

const maxFileBytes = BigInt(Number.MAX_SAFE_INTEGER);

export interface ConfinedFile {
  kind: 'file';
  /** Opened for reading; the caller closes it. */
  handle: FileHandle;
  stats: BigIntStats;
}

/** Makes a path to `name` in an open folder, for any call of `node:fs` that takes a path. */
export function childPath(folder: FileHandle, name: string | Buffer): string | Buffer {
  const prefix = `/proc/self/fd/${folder.fd}/`;
  return typeof name === 'string' ? prefix + name : Buffer.concat([Buffer.from(prefix), name]);
}

/**
 * Opens a folder's child without following a link, reading or waiting; fstat then tells its kind.
 */
export async function openChild(folder: FileHandle, name: string | Buffer): Promise<FileHandle> {
  return open(childPath(folder, name), O_PATH | constants.O_NOFOLLOW);
}

/**
 * Turns an O_PATH handle (from {@link openChild}, left open) into one for reading, if it is a
 * regular file that may be served.
 * @throws AppError not_found or conflict, see `openConfined`
 */
export async function openRegular(
  child: FileHandle,
  stats: BigIntStats,
  shown: string,
): Promise<ConfinedFile> {
  if (!stats.isFile()) throw refused('not_regular', shown);
  // Its other name may be outside the folder: a job can hard-link a file that it may not read.
  if (stats.nlink !== 1n) throw refused('hard_link', shown);
  // Such a link is the only name left after we delete ours (a journal, a temporary file).
  if (stats.uid === BigInt(process.geteuid?.() ?? -1) && (stats.mode & 0o044n) === 0n)
    throw refused('service_file', shown);
  let handle: FileHandle;
  try {
    // Opens the inode that was checked, without its name. O_NONBLOCK: a job's file lease must not
    // make us wait.
    handle = await open(`/proc/self/fd/${child.fd}`, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw refusal(error, shown);
  }
  try {
    const now = await handle.stat({ bigint: true });
    if (now.nlink > 1n) throw refused('hard_link', shown);
    if (now.size > maxFileBytes) throw refused('too_large', shown);
    if (!(await nameStillStands(handle))) throw refused('missing', shown);
    return { kind: 'file', handle, stats: now };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Tells whether the name that a handle was opened by still exists. A job may hard-link a file from
 * outside, let us open it, and unlink it again: the file then has one name, but another one. A
 * removed name never returns to an open handle (the kernel drops its dentry). So a name that exists
 * now existed when the names were counted. A file whose own name ends in " (deleted)" looks removed
 * and is not served; see proc_pid_fd(5).
 */
async function nameStillStands(handle: FileHandle): Promise<boolean> {
  const path = await readlink(`/proc/self/fd/${handle.fd}`, { encoding: 'buffer' });
  return !path.subarray(-goneMark.length).equals(goneMark);
}

const goneMark = Buffer.from(' (deleted)');
