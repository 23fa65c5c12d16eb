import { type PaxRecord, paxInteger } from './pax.js';
import { refusal } from './refusal.js';
import { numeric } from './tar-header.js';

// Formats: GNU tar manual, appendix "Storing Sparse Files", and tar.h (`struct sparse`,
// `oldgnu_header`, `sparse_header`).

/** Position of stored bytes in the file: [offset, length]. */
export type Segment = readonly [offset: number, length: number];

export interface SparseFile {
  /** The file's size, including holes. */
  realSize: number;
  segments: Segment[];
}

const MAX_SEGMENTS = 1 << 20;

/**
 * Throws `archive_refused` unless the segments are in order, inside the file, and hold exactly
 * `stored` bytes.
 */
export function checkSparse(file: SparseFile, stored: number, entry: string): void {
  let end = 0;
  let sum = 0;
  for (const [offset, length] of file.segments) {
    if (offset < end || !Number.isSafeInteger(offset + length) || offset + length > file.realSize)
      throw refusal('has a sparse map that does not match its size', entry);
    end = offset + length;
    sum += length;
  }
  if (sum !== stored) throw refusal('has a sparse map that does not match its content', entry);
}

export function addSegment(segments: Segment[], offset: number, length: number, entry: string) {
  if (segments.length >= MAX_SEGMENTS)
    throw refusal(`has more than ${MAX_SEGMENTS} holes; pack it without --sparse`, entry);
  segments.push([offset, length]);
}

/**
 * Reads an old GNU header block: four segments, the file's size, and whether a block of more
 * segments follows.
 */
export function oldGnuSparse(block: Buffer, at: number, entry: string) {
  const realSize = numeric(block, at + 483, 12);
  if (realSize === undefined || realSize < 0) throw refusal('has an impossible size', entry);
  const file: SparseFile = { realSize, segments: [] };
  readOldGnuSegments(block, at + 386, 4, file.segments, entry);
  return { file, continues: block[at + 482] !== 0 };
}

/** Reads an old GNU continuation block. @returns true when another one follows */
export function oldGnuContinuation(block: Buffer, at: number, into: Segment[], entry: string) {
  readOldGnuSegments(block, at, 21, into, entry);
  return block[at + 504] !== 0;
}

function readOldGnuSegments(
  block: Buffer,
  at: number,
  count: number,
  into: Segment[],
  entry: string,
) {
  for (let index = 0; index < count; index++) {
    const field = at + 24 * index;
    // An unused slot is all NUL; an empty segment at the end of the file is written out.
    if (block[field + 12] === 0) return;
    const offset = numeric(block, field, 12);
    const length = numeric(block, field + 12, 12);
    if (offset === undefined || length === undefined || offset < 0 || length < 0)
      throw refusal('has a malformed sparse map', entry);
    addSegment(into, offset, length, entry);
  }
}

export type PaxSparse =
  | { version: '0'; name: string | undefined; file: SparseFile }
  /** The map is at the start of the content. */
  | { version: '1'; name: string | undefined; realSize: number };

/** Reads the sparse map in an entry's own PAX records (GNU's formats 0.0, 0.1 and 1.0), if any. */
export function paxSparse(records: readonly PaxRecord[], entry: string): PaxSparse | undefined {
  const values = new Map(records.filter(([key]) => key.startsWith('GNU.sparse.')));
  if (values.size === 0) return undefined;
  const name = values.get('GNU.sparse.name');
  const size = values.get('GNU.sparse.realsize') ?? values.get('GNU.sparse.size');
  if (size === undefined) throw refusal('has a sparse map but no size of the whole file', entry);
  const realSize = paxInteger('GNU.sparse.size', size, entry);
  const major = values.get('GNU.sparse.major') ?? '0';
  const minor = values.get('GNU.sparse.minor') ?? '0';
  if (major === '1' && minor === '0') return { version: '1', name, realSize };
  if (major !== '0')
    throw refusal(`has a sparse map in an unknown format ${major}.${minor}`, entry);
  const map = values.get('GNU.sparse.map');
  const numbers =
    map === undefined
      ? pairedNumbers(records, entry)
      : map === ''
        ? []
        : map.split(',').map((text) => paxInteger('GNU.sparse.map', text, entry));
  if (numbers.length % 2 !== 0) throw refusal('has a malformed sparse map', entry);
  const segments: Segment[] = [];
  for (let index = 0; index < numbers.length; index += 2)
    addSegment(segments, numbers[index] as number, numbers[index + 1] as number, entry);
  return { version: '0', name, file: { realSize, segments } };
}

/** Reads format 0.0, which repeats `offset` and `numbytes` alternately. */
function pairedNumbers(records: readonly PaxRecord[], entry: string): number[] {
  const numbers: number[] = [];
  for (const [key, value] of records) {
    if (key !== 'GNU.sparse.offset' && key !== 'GNU.sparse.numbytes') continue;
    if ((numbers.length % 2 === 0) !== (key === 'GNU.sparse.offset'))
      throw refusal('has a malformed sparse map', entry);
    numbers.push(paxInteger(key, value, entry));
  }
  return numbers;
}

/**
 * Reads the map of format 1.0 from the blocks before the content: decimal numbers, each followed by
 * a newline.
 */
export class SparseMapReader {
  readonly #entry: string;

  #pending = '';
  #expected: number | undefined;
  #offset: number | undefined;
  readonly segments: Segment[] = [];

  constructor(entry: string) {
    this.#entry = entry;
  }

  /** Takes one block. @returns true when the map is complete (the rest of the block is padding) */
  push(block: Buffer): boolean {
    const lines = (this.#pending + block.toString('latin1')).split('\n');
    this.#pending = lines.pop() ?? '';
    for (const line of lines) {
      const number = paxInteger('sparse map', line, this.#entry);
      if (this.#expected === undefined) this.#expected = number;
      else if (this.#offset === undefined) this.#offset = number;
      else {
        addSegment(this.segments, this.#offset, number, this.#entry);
        this.#offset = undefined;
      }
      if (this.segments.length === this.#expected) return true;
    }
    if (this.#pending.length > 32) throw refusal('has a malformed sparse map', this.#entry);
    return false;
  }
}
