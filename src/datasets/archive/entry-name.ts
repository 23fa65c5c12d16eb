import { refusal } from './refusal.js';

// Names are carried as "raw" strings, one character for one byte (latin1): a name that is not UTF-8 survives as it is,
// and two names that differ in one byte never become one.

const MAX_COMPONENT = 255;
/** Real trees stay under 60. */
export const MAX_DEPTH = 256;
/** PATH_MAX less its NUL; the tree's own path, which stands before every entry's, is taken off by `maxPathBytes`. */
const MAX_PATH = 4095;

/** How many bytes an entry's path may have so that its absolute path under `treeDir` still opens. */
export function maxPathBytes(treeDir: string): number {
  return MAX_PATH - Buffer.byteLength(treeDir) - 1;
}

/** What the file system calls take for a raw name. */
export function fsPath(raw: string): string | Buffer {
  return /^[\x01-\x7f]*$/.test(raw) ? raw : Buffer.from(raw, 'latin1');
}

/**
 * An entry's name as a path below the tree's root: no empty or `.` components; `''` is the root itself.
 * Throws `archive_refused` on an absolute name, `..`, a NUL, or one too long or too deep. `entry` is the name to blame
 * (a hard link's own name when its target is looked at); `maxBytes` comes from `maxPathBytes`.
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

/** A safe name for the one file of a tree: the last part of what the uploader called it, or `data`. */
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
