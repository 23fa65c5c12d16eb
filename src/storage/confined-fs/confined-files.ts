import { isUtf8 } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import { constants, open, readlink, type FileHandle } from 'node:fs/promises';
import { AppError, errnoOf } from '../../errors.js';
import { splitConfinedPath } from './confined-path.js';

/*
 * A job owns its folder and may rename, link and replace anything in it while we read. So checking
 * a path proves nothing about the file that is opened next. Therefore each name is opened below the
 * descriptor of its folder, never through a link, and checked by fstat(2) after opening.
 * `/proc/self/fd/<n>/<name>` replaces Linux's openat(2), which Node lacks; see proc_pid_fd(5).
 * Links are read as text and walked in the same way.
 */

/**
 * O_PATH of open(2), which Node does not name: such a handle neither reads, nor waits for a fifo,
 * nor wakes a device.
 */
const O_PATH = 0o10000000;

const maxDepth = 64;
const maxLinks = 16;
const maxSteps = 1024;
const maxFileBytes = BigInt(Number.MAX_SAFE_INTEGER);

/** Reason for which a file or folder is not served; found in an error's `details.reason`. */
export type RefusalReason =
  | 'missing'
  | 'leaves_folder'
  | 'link_loop'
  | 'hard_link'
  | 'not_regular'
  | 'closed_by_job'
  | 'busy'
  | 'service_file'
  | 'too_deep'
  | 'too_large'
  | 'bad_name';

export interface ConfinedFile {
  kind: 'file';
  /** Opened for reading; the caller closes it. */
  handle: FileHandle;
  stats: BigIntStats;
}

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
  throw new AppError('bad_request', `${quote(relPath)} is a folder; name a file in it`);
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

/**
 * Turns an O_PATH handle (from {@link openChild}, left open) into one for reading, if it is a
 * regular file that may be served.
 * @throws AppError not_found or conflict, see {@link openConfined}
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

async function statOrClose(handle: FileHandle): Promise<BigIntStats> {
  try {
    return await handle.stat({ bigint: true });
  } catch (error) {
    await handle.close();
    throw error;
  }
}

const explanations: Record<RefusalReason, string> = {
  missing: 'does not exist',
  leaves_folder: 'is a symbolic link that leaves the job’s folder, which is not served',
  link_loop: 'is a symbolic link in a circle or in too long a chain',
  hard_link: 'has a second name (a hard link), which is not served; let the job copy it instead',
  not_regular: 'is a fifo, socket or device, which is not served',
  closed_by_job: 'is closed to the service by the job; let the job run chmod g+rX',
  busy: 'is locked by a lease of the job; try again when the job has ended',
  service_file: 'belongs to the service and not to the job',
  too_deep: 'lies deeper than the service searches',
  too_large: 'claims to be larger than the service can count',
  bad_name: 'has a name, or is below one, that is not UTF-8 or too long',
};

/** Returns the reason of an error made here; undefined for any other error. */
export function refusalReason(error: unknown): RefusalReason | undefined {
  const reason = error instanceof AppError ? error.details?.['reason'] : undefined;
  return typeof reason === 'string' && reason in explanations
    ? (reason as RefusalReason)
    : undefined;
}

export function refused(reason: RefusalReason, shown: string, cause?: unknown): AppError {
  const code = reason === 'closed_by_job' || reason === 'busy' ? 'conflict' : 'not_found';
  return new AppError(code, `${shown} ${explanations[reason]}`, { cause, details: { reason } });
}

/**
 * Turns a system error about a job's file into the caller's error; others (EMFILE, EIO) stay
 * internal.
 */
export function refusal(error: unknown, shown: string): unknown {
  const reason = reasonOfErrno.get(errnoOf(error) ?? '');
  if (reason === undefined) return error;
  return refused(reason, shown, reason === 'missing' ? undefined : error);
}

const reasonOfErrno = new Map<string, RefusalReason>([
  ['ENOENT', 'missing'],
  ['ENOTDIR', 'missing'],
  // O_NOFOLLOW|O_DIRECTORY met a link, or readlink met something else: the job replaced it just
  // now.
  ['ELOOP', 'missing'],
  ['EINVAL', 'missing'],
  ['EACCES', 'closed_by_job'],
  ['EPERM', 'closed_by_job'],
  ['EAGAIN', 'busy'],
  ['ENAMETOOLONG', 'bad_name'],
  ['ENXIO', 'not_regular'],
  ['ENODEV', 'not_regular'],
]);

/**
 * Makes a hostile name safe for a message: quoted, control characters escaped, cut to 200
 * characters.
 */
export function quote(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}
