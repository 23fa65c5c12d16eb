import type { FileHandle } from 'node:fs/promises';
import { maxLineBytes } from './job-line.js';

const chunkBytes = 64 * 1024;
/** The part of a larger file beyond this size is not read. */
export const maxFileBytes = 64 * 1024 ** 2;

export interface RawLine {
  /** From 1. */
  number: number;
  /** Bytes without the line end; undefined for a line that is too long. */
  bytes: Buffer | undefined;
}

/**
 * Reason why reading ended: the end of the file, {@link maxFileBytes}, or a `take` that returned
 * false.
 */
export type ReadEnd = 'end' | 'too_large' | 'stopped';

/**
 * Passes every finished line to `take` until that returns false. Holds at most one line and one
 * chunk in memory.
 * @returns the reason for the end, and the number of the last line if its line end is missing
 */
export async function readLines(
  file: FileHandle,
  take: (line: RawLine) => boolean,
): Promise<{ end: ReadEnd; unfinished: number | null }> {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  let parts: Buffer[] = [];
  let length = 0;
  let number = 1;
  for (let offset = 0; ;) {
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, offset);
    if (bytesRead === 0) return { end: 'end', unfinished: length > 0 ? number : null };
    offset += bytesRead;
    let start = 0;
    for (;;) {
      const newline = chunk.subarray(0, bytesRead).indexOf(0x0a, start);
      add(chunk.subarray(start, newline === -1 ? bytesRead : newline));
      if (newline === -1) break;
      const bytes = length > maxLineBytes ? undefined : Buffer.concat(parts);
      if (!take({ number, bytes })) return { end: 'stopped', unfinished: null };
      parts = [];
      length = 0;
      number += 1;
      start = newline + 1;
    }
    if (offset >= maxFileBytes) return { end: 'too_large', unfinished: null };
  }

  function add(bytes: Buffer): void {
    length += bytes.length;
    // Copied, since the next read overwrites the chunk.
    if (length <= maxLineBytes) parts.push(Buffer.from(bytes));
    else parts = [];
  }
}
