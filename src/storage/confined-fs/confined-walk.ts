import { constants, lstat, open, opendir, type FileHandle } from 'node:fs/promises';
import { isUtf8 } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import { openConfinedEntry } from './confined-files.js';
import { childPath, openChild, openRegular, type ConfinedFile } from './confined-handles.js';
import { quote, refusal, refusalReason, refused, type RefusalReason } from './refusals.js';
import { AppError } from '../../errors.js';
import { maxPathBytes } from './confined-path.js';

export interface WalkOptions {
  /** Start, relative to the root; by default the root itself. */
  under?: string;
  /** Names visited before the walk stops. */
  maxEntries?: number;
  /** Depth of folders at which the walk turns back. */
  maxDepth?: number;
}

/** An entry of a walk; `path` is relative to the walk's start. */
export type WalkEntry =
  | {
      kind: 'file';
      path: string;
      /** Bytes. */
      size: number;
      mtimeMs: number;
      /** Opens this file, only while the walk is at it. @throws AppError like `openConfined` */
      open: () => Promise<ConfinedFile>;
    }
  | { kind: 'folder'; path: string; mtimeMs: number }
  /** An omitted entry, with the reason as a sentence that names it. */
  | { kind: 'skipped'; path: string; why: RefusalReason | 'link_to_folder'; reason: string }
  /** The walk stops here, although there is more. */
  | { kind: 'limit'; reason: string };

interface Walk {
  rootDir: string;
  under: string;
  maxDepth: number;
  maxEntries: number;
  entries: number;
}

/**
 * Walks a folder that somebody hostile owns, by the rules of `openConfined`, in byte order of the
 * names. A link to a file inside counts as that file. A link to a folder is skipped, so that
 * nothing comes twice and no walk is endless.
 * @throws AppError like `openConfinedEntry` for the starting folder; problems below it only yield
 *   `skipped` entries
 */
export async function* walkConfined(
  rootDir: string,
  options: WalkOptions = {},
): AsyncGenerator<WalkEntry, void, undefined> {
  const under = options.under ?? '.';
  const start = await openConfinedEntry(rootDir, under);
  try {
    if (start.kind !== 'folder')
      throw new AppError('bad_request', `${quote(under)} is not a folder`);
    const walk: Walk = {
      rootDir,
      under,
      maxDepth: options.maxDepth ?? 48,
      maxEntries: options.maxEntries ?? 200_000,
      entries: 0,
    };
    yield* walkFolder(walk, start.handle, '', 1);
  } finally {
    await start.handle.close();
  }
}

/** Visits a folder. @returns false when the walk must stop */
async function* walkFolder(
  walk: Walk,
  folder: FileHandle,
  path: string,
  depth: number,
): AsyncGenerator<WalkEntry, boolean, undefined> {
  let names: Buffer[];
  try {
    names = await namesIn(folder, walk.maxEntries - walk.entries + 1);
  } catch (error) {
    yield skipped(walk, path, error);
    return true;
  }
  for (const bytes of names) {
    if (++walk.entries > walk.maxEntries) {
      yield { kind: 'limit', reason: `there are more than ${walk.maxEntries} files and folders` };
      return false;
    }
    const name = isUtf8(bytes) ? bytes.toString() : undefined;
    const child = `${path}${path && '/'}${name ?? bytes.toString()}`;
    if (name === undefined) {
      yield skipped(walk, child, refused('bad_name', shown(walk, child)));
      continue;
    }
    if (Buffer.byteLength(`${walk.under}/${child}`) > maxPathBytes) {
      yield skipped(walk, child, refused('too_deep', shown(walk, child)));
      continue;
    }
    let stats: BigIntStats;
    try {
      stats = await lstat(childPath(folder, name), { bigint: true });
    } catch (error) {
      yield skipped(walk, child, error);
      continue;
    }
    if (!stats.isDirectory()) {
      yield await describe(walk, folder, name, child, stats);
      continue;
    }
    if (depth >= walk.maxDepth) {
      yield skipped(walk, child, refused('too_deep', shown(walk, child)));
      continue;
    }
    let sub: FileHandle;
    try {
      const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
      sub = await open(childPath(folder, name), flags);
    } catch (error) {
      yield skipped(walk, child, error);
      continue;
    }
    try {
      yield { kind: 'folder', path: child, mtimeMs: Number(stats.mtimeMs) };
      if (!(yield* walkFolder(walk, sub, child, depth + 1))) return false;
    } finally {
      await sub.close();
    }
  }
  return true;
}

async function describe(
  walk: Walk,
  folder: FileHandle,
  name: string,
  path: string,
  stats: BigIntStats,
): Promise<WalkEntry> {
  if (stats.isSymbolicLink()) return describeLink(walk, path);
  if (!stats.isFile()) return skipped(walk, path, refused('not_regular', shown(walk, path)));
  if (stats.nlink !== 1n) return skipped(walk, path, refused('hard_link', shown(walk, path)));
  return fileEntry(path, stats, async () => {
    const child = await openChild(folder, name).catch((error: unknown) => {
      throw refusal(error, shown(walk, path));
    });
    try {
      return await openRegular(child, await child.stat({ bigint: true }), shown(walk, path));
    } finally {
      await child.close();
    }
  });
}

async function describeLink(walk: Walk, path: string): Promise<WalkEntry> {
  const openTarget = () => openConfinedEntry(walk.rootDir, `${walk.under}/${path}`);
  try {
    const target = await openTarget();
    await target.handle.close();
    if (target.kind === 'folder')
      return {
        kind: 'skipped',
        path,
        why: 'link_to_folder',
        reason: `${shown(walk, path)} is a link to a folder, which is listed under its own name`,
      };
    return fileEntry(path, target.stats, async () => {
      const again = await openTarget();
      if (again.kind === 'file') return again;
      await again.handle.close();
      throw refused('missing', shown(walk, path));
    });
  } catch (error) {
    return skipped(walk, path, error);
  }
}

function fileEntry(path: string, stats: BigIntStats, open: () => Promise<ConfinedFile>): WalkEntry {
  return { kind: 'file', path, size: Number(stats.size), mtimeMs: Number(stats.mtimeMs), open };
}

/** Makes a path of the walk printable: from the root, as a caller would request it. */
function shown(walk: Walk, path: string): string {
  return quote([walk.under, path].filter((part) => part !== '.' && part !== '').join('/') || '.');
}

/** @throws any error that the job did not cause */
function skipped(walk: Walk, path: string, error: unknown): WalkEntry {
  const known = refusal(error, shown(walk, path));
  if (known instanceof AppError)
    return {
      kind: 'skipped',
      path,
      why: refusalReason(known) ?? 'bad_name',
      reason: known.message,
    };
  throw error;
}

/** Lists up to `max` names, as bytes and sorted, so that each listing of a folder is the same. */
async function namesIn(folder: FileHandle, max: number): Promise<Buffer[]> {
  const names: Buffer[] = [];
  // Node returns bytes here when asked to; its types only know strings
  // (nodejs.org/api/fs.html#class-fsdirent).
  const dir = await opendir(`/proc/self/fd/${folder.fd}`, { encoding: 'buffer' as 'utf8' });
  for await (const entry of dir) {
    names.push(entry.name as unknown as Buffer);
    if (names.length >= max) break;
  }
  return names.sort((a, b) => Buffer.compare(a, b));
}
