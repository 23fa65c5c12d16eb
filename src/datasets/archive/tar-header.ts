import { refusal } from './refusal.js';

// Blocks are read here instead of by node-tar's Header and Pax. Those decode names as UTF-8 (losing
// other bytes), keep text after a NUL and a newline, and read "12x" as a number. They also drop PAX
// values that hold a newline or describe holes.

export const BLOCK = 512;

/** One tar header block before long names and PAX records are applied. Names are raw (latin1). */
export interface TarHeader {
  name: string;
  linkname: string;
  /** Character of the type flag; NUL (v7) reads as '0'. */
  type: string;
  mode: number;
  size: number;
  /** Seconds since 1970; undefined when the field is invalid. */
  mtime: number | undefined;
}

/**
 * Reads a header block. Throws `archive_refused` on a bad checksum or size. Layout: POSIX.1-2017
 * pax, "ustar Interchange Format", and GNU tar's tar.h.
 */
export function parseHeader(block: Buffer, at: number): TarHeader {
  const ownName = text(block, at, 100);
  if (!checksumHolds(block, at))
    throw refusal('has a header with a wrong checksum: the archive is corrupt', ownName);
  // With GNU's own magic ("ustar  "), times stand where POSIX has the prefix.
  const prefix = magic(block, at) === 'ustar\0' ? text(block, at + 345, 155) : '';
  const name = prefix === '' ? ownName : `${prefix}/${ownName}`;
  const size = numeric(block, at + 124, 12);
  if (size === undefined || size < 0) throw refusal('has an impossible size', name);
  const flag = block[at + 156] ?? 0;
  return {
    name,
    linkname: text(block, at + 157, 100),
    type: flag === 0 ? '0' : String.fromCharCode(flag),
    mode: numeric(block, at + 100, 8) ?? 0,
    size,
    mtime: numeric(block, at + 136, 12),
  };
}

export function hasUstarMagic(block: Buffer, at: number): boolean {
  return magic(block, at).startsWith('ustar');
}

function magic(block: Buffer, at: number): string {
  return block.toString('latin1', at + 257, at + 263);
}

/**
 * Checks the sum of all bytes, with the checksum's own read as spaces; some old tars summed signed
 * bytes.
 */
export function checksumHolds(block: Buffer, at: number): boolean {
  if (!/^[ \0]*[0-7]/.test(block.toString('latin1', at + 148, at + 156))) return false;
  const stored = numeric(block, at + 148, 8);
  let sum = 8 * 0x20;
  for (let index = at; index < at + 148; index++) sum += block[index] as number;
  for (let index = at + 156; index < at + BLOCK; index++) sum += block[index] as number;
  if (sum === stored) return true;
  let high = 0;
  for (let index = at; index < at + BLOCK; index++)
    if ((index < at + 148 || index >= at + 156) && (block[index] as number) > 127) high++;
  return sum - 256 * high === stored;
}

/** Reads a field up to its first NUL. */
export function text(block: Buffer, at: number, length: number): string {
  let end = at;
  while (end < at + length && block[end] !== 0) end++;
  return block.toString('latin1', at, end);
}

/**
 * Reads an octal or base-256 number. An empty field is 0; any other text, or a number beyond a
 * double, gives undefined.
 */
export function numeric(block: Buffer, at: number, length: number): number | undefined {
  if (((block[at] ?? 0) & 0x80) !== 0) return base256(block.subarray(at, at + length));
  let index = at;
  const end = at + length;
  while (index < end && (block[index] === 0x20 || block[index] === 0)) index++;
  let value = 0;
  for (; index < end; index++) {
    const digit = (block[index] as number) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  if (index < end && block[index] !== 0x20 && block[index] !== 0) return undefined;
  return value;
}

function base256(field: Buffer): number | undefined {
  const negative = ((field[0] ?? 0) & 0x40) !== 0;
  let value = BigInt((field[0] ?? 0) & 0x7f);
  for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
  if (negative) value -= 1n << BigInt(8 * field.length - 1);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : undefined;
}
