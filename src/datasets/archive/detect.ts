import type { Compression } from './messages.js';
import { refusal } from './refusal.js';
import { BLOCK, checksumHolds, hasUstarMagic } from './tar-header.js';

/** Bytes of a file's start that suffice to detect its kind. */
export const HEAD_BYTES = 64 * 2 ** 10;
/**
 * Most zeros that an empty tar is written with (20 blocks by GNU tar and Python); more are a file
 * of zeros.
 */
const EMPTY_TAR_BYTES = 20 * BLOCK;

export type Packing = Compression | 'zip';

/** Detects a file's packing by its first bytes; undefined for an unknown one (and for a tar). */
export function detectPacking(head: Buffer): Packing | undefined {
  if (starts(head, [0x1f, 0x8b, 0x08]) && ((head[3] ?? 0) & 0xe0) === 0) return 'gz';
  if (isBzip2(head)) return 'bz2';
  if (starts(head, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])) return 'xz';
  if (isZstd(head)) return 'zst';
  if (isZip(head)) return 'zip';
  if (isLzmaAlone(head)) return 'lzma';
  return undefined;
}

function starts(head: Buffer, bytes: readonly number[]): boolean {
  return head.length >= bytes.length && bytes.every((byte, index) => head[index] === byte);
}

/** Looks for "BZh", a level, then a block's magic (π) or, for empty content, the end's (√π). */
function isBzip2(head: Buffer): boolean {
  const digits = head.subarray(4, 10).toString('hex');
  return (
    /^BZh[1-9]$/.test(head.toString('latin1', 0, 4)) &&
    (digits === '314159265359' || digits === '177245385090')
  );
}

/** Looks for a zstd frame, possibly after skippable frames as pzstd writes them (RFC 8878, 3.1). */
function isZstd(head: Buffer): boolean {
  let at = 0;
  while (at + 8 <= head.length && (head.readUInt32LE(at) & 0xfffffff0) === 0x184d2a50)
    at += 8 + head.readUInt32LE(at + 4);
  return at + 4 <= head.length && head.readUInt32LE(at) === 0xfd2fb528;
}

/** Looks for a local entry, or the end record of an empty zip. */
function isZip(head: Buffer): boolean {
  return starts(head, [0x50, 0x4b, 0x03, 0x04]) || starts(head, [0x50, 0x4b, 0x05, 0x06]);
}

/**
 * Applies liblzma's own strict check (alone_decoder.c), since .lzma has no magic. The properties
 * must be in range and the dictionary 2^n or 2^n + 2^(n-1) bytes. The size must be unknown or under
 * 256 GiB, and the range coder's first byte 0.
 */
function isLzmaAlone(head: Buffer): boolean {
  if (head.length < 14) return false;
  const properties = head.readUInt8(0);
  const [lc, lp] = [properties % 9, Math.floor(properties / 9) % 5];
  if (properties >= 225 || lc + lp > 4) return false;
  const dictionary = head.readUInt32LE(1);
  const power = 2 ** Math.floor(Math.log2(dictionary));
  const rounded = dictionary === power || dictionary === power * 1.5 || dictionary === 0xffffffff;
  if (dictionary < 4096 || !rounded) return false;
  const size = head.readBigUInt64LE(5);
  return (size === 0xffffffffffffffffn || size < 1n << 38n) && head[13] === 0;
}

/** Tells whether a .lzma starts in the usual way; others are decompressed as a trial first. */
export function hasUsualLzmaProperties(head: Buffer): boolean {
  return head[0] === 0x5d;
}

/**
 * Returns the number of bytes that `isTar` must see of a stream, unless the stream ends earlier.
 */
export function bytesToTellTar(head: Buffer): number {
  return head.subarray(0, BLOCK).every((byte) => byte === 0) ? EMPTY_TAR_BYTES + 1 : BLOCK;
}

/**
 * Tells whether a stream that starts with `head` (or equals it, if `whole`) is a tar. Throws
 * `archive_refused` if it has a tar's magic but cannot be one.
 */
export function isTar(head: Buffer, whole: boolean): boolean {
  if (head.length < BLOCK) {
    if (head.length >= 263 && hasUstarMagic(head, 0)) throw refusal('the tar is truncated');
    return false;
  }
  if (head.subarray(0, EMPTY_TAR_BYTES + 1).every((byte) => byte === 0))
    return (
      whole &&
      head.length >= 2 * BLOCK &&
      head.length <= EMPTY_TAR_BYTES &&
      head.length % BLOCK === 0
    );
  if (checksumHolds(head, 0)) return true;
  if (hasUstarMagic(head, 0)) throw refusal('the tar is corrupt: its first header is damaged');
  return false;
}
