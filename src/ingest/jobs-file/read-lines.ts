import type { FileHandle } from 'node:fs/promises';
import { maxLineBytes } from './job-line.js';

const chunkBytes = 64 * 1024;
/** What follows in a larger file is not read. */
export const maxFileBytes = 64 * 1024 ** 2;

export interface RawLine {
  /** From 1. */
  number: number;
  /** Without its end; undefined when it is longer than a line can be. */
  bytes: Buffer | undefined;
}

/** Why reading ended: at the end of the file, at {@link maxFileBytes}, or because `take` had enough. */
export type ReadEnd = 'end' | 'too_large' | 'stopped';

/**
 * Hands every finished line to `take`, until that returns false. No more than one line and one chunk is held in memory.
 * @returns how it ended, and the number of the last line if its end is not written yet.
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
    // Copied, since the chunk is filled anew.
    if (length <= maxLineBytes) parts.push(Buffer.from(bytes));
    else parts = [];
  }
}
