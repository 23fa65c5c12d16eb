import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { printable } from './printable.js';
import { refusal } from './refusal.js';

/** Large enough that passing one on costs little compared with filling it. */
const CHUNK_BYTES = 256 * 2 ** 10;

/**
 * Decompresses a gzip file of any number of members in this process. zlib's code is twice as fast
 * as gzip(1), and decompresses the next chunk on its own thread while `onChunk` has this one.
 * Resolves when the whole file has been read and every CRC and size was right. Only zeros may
 * follow the last member (padding, as gzip(1) accepts it). Rejects with `archive_refused` for any
 * fault, and with any error that `onChunk` throws.
 */
export async function gunzip(archivePath: string, onChunk: (chunk: Buffer) => void): Promise<void> {
  const source = createReadStream(archivePath, { highWaterMark: CHUNK_BYTES });
  const plain = createGunzip({ chunkSize: CHUNK_BYTES });
  source.on('error', (error) => plain.destroy(error));
  source.pipe(plain);
  try {
    // Each step of this loop starts the next chunk before it yields this one.
    for await (const chunk of plain) onChunk(chunk as Buffer);
    // The bytes that zlib left unread start with a zero.
    for await (const rest of createReadStream(archivePath, { start: plain.bytesWritten }))
      if ((rest as Buffer).some((byte) => byte !== 0)) throw corrupt('trailing garbage');
  } catch (error) {
    throw isZlibError(error) ? corrupt(error.message, error) : error;
  } finally {
    source.destroy();
    plain.destroy();
  }
}

function corrupt(words: string, cause?: unknown): Error {
  return refusal(
    `the gz stream is corrupt, truncated or followed by other data (${printable(words)})`,
    undefined,
    cause,
  );
}

/** Recognizes zlib's codes: `Z_DATA_ERROR`, `Z_BUF_ERROR` (a truncated stream), … */
function isZlibError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_');
}
