import { refusal } from './refusal.js';

// Names are "raw" strings with one character for each byte (latin1). So names that are not UTF-8
// survive unchanged, and names that differ in one byte stay different.

const MAX_COMPONENT = 255;
/** Real trees stay under 60. */
export const MAX_DEPTH = 256;
/**
 * PATH_MAX without its NUL; `maxPathBytes` subtracts the path of the tree, which precedes each
 * entry's path.
 */
const MAX_PATH = 4095;

/**
 * Computes the longest path of an entry whose absolute path under `treeDir` can still be opened.
 */
export function maxPathBytes(treeDir: string): number {
  return MAX_PATH - Buffer.byteLength(treeDir) - 1;
}

/** Converts a raw name for file system calls. */
export function fsPath(raw: string): string | Buffer {
  return /^[\x01-\x7f]*$/.test(raw) ? raw : Buffer.from(raw, 'latin1');
}

/**
 * Turns an entry's name into a path below the tree's root, without empty or `.` components; `''` is
 * the root itself. Throws `archive_refused` on an absolute name, `..`, a NUL, or a name that is too
 * long or too deep. Errors name `entry` (for the target of a hard link, the link's own name);
 * `maxBytes` comes from `maxPathBytes`.
 */
export function entryPath(raw: string, maxBytes: number, entry = raw): string {
  if (raw === '') throw refusal('has an empty name', entry);
  if (raw.includes('\0')) throw refusal('has a NUL byte in its name', entry);
  if (raw.startsWith('/'))
    throw refusal('has an absolute path; pack it with relative paths', entry);
  const kept: string[] = [];
  for (const component of raw.split('/')) {
    if (component === '' || component === '.') continue;
    if (component === '..')
      throw refusal('has ".." in its path; pack it from inside its folder', entry);
    if (component.length > MAX_COMPONENT)
      throw refusal(`has a name longer than ${MAX_COMPONENT} bytes`, entry);
    kept.push(component);
  }
  if (kept.length > MAX_DEPTH)
    throw refusal(`lies more than ${MAX_DEPTH} folders deep; flatten it`, entry);
  const path = kept.join('/');
  if (path.length > maxBytes)
    throw refusal(`has a path longer than ${maxBytes} bytes; shorten it`, entry);
  return path;
}

const COMPRESSED_SUFFIX = /\.(gz|gzip|bz2|xz|lzma|zst|zstd)$/i;

/**
 * Makes a safe name for the single file of a tree: the last part of the uploader's name, or `data`.
 */
export function singleFileName(originalName: string | undefined, decompressed: boolean): string {
  const last = (originalName ?? '').split(/[/\\]/).at(-1) ?? '';
  const bare = (decompressed ? last.replace(COMPRESSED_SUFFIX, '') : last)
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '_')
    .trim();
  if (bare === '' || bare === '.' || bare === '..') return 'data';
  return cutToBytes(bare, MAX_COMPONENT);
}

function cutToBytes(text: string, limit: number): string {
  if (Buffer.byteLength(text) <= limit) return text;
  const suffix = /\.[\w-]{1,16}$/.exec(text)?.[0] ?? '';
  let kept = '';
  let size = Buffer.byteLength(suffix);
  for (const character of text.slice(0, text.length - suffix.length)) {
    size += Buffer.byteLength(character);
    if (size > limit) break;
    kept += character;
  }
  return kept + suffix;
}
