import { open, type FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { AppError, isDiskFull } from '../../errors.js';
import type { Sha256 } from '../digest.js';
import { ensureFree, diskFull } from '../free-disk.js';
import { BUFFER_BYTES, type BufferPool, type PooledBuffer } from './buffer-pool.js';
import type { HashThread, Hashing } from './hash-thread.js';
import { pump } from './pump.js';

/** Buffers of one upload that may be with the thread. */
const maxInFlight = 16;
/** Bytes after which written pages go to the disk, so that the last fsync finds little to do. */
const syncEvery = 64 * 2 ** 20;

export interface ReceiveSteps {
  body: Readable;
  /** A file to be made; must not exist. */
  path: string;
  /** Bytes to take at most; 0 means no limit but the free disk. */
  maxBytes: number;
  /** Receives each chunk's length; an error that it throws ends the upload. */
  onBytes?: ((bytes: number) => void) | undefined;
  hashThread: HashThread;
  buffers: BufferPool;
  signal: AbortSignal;
}

/** A file and the digest of the bytes written to it. It is not yet synced. */
export interface ReceivedFile {
  sha256: Sha256;
  size: number;
  file: FileHandle;
}

/**
 * Writes and hashes `body` in one pass with a fixed amount of memory. On failure the rest of the
 * body stays unread.
 * @throws AppError too_large as soon as the limit is passed; disk_full; any error of `onBytes`; and
 *   as {@link pump} does
 */
export async function receiveFile(steps: ReceiveSteps): Promise<ReceivedFile> {
  const file = await open(steps.path, 'wx', 0o640);
  const writer = new HashingWriter(file, steps);
  try {
    await pump(steps.body, (chunk) => writer.take(chunk), steps.signal);
    const sha256 = await writer.end();
    return { sha256, size: writer.size, file };
  } catch (error) {
    await writer.abandon();
    await file.close();
    throw isDiskFull(error) ? diskFull(error) : error;
  }
}

class HashingWriter {
  size = 0;
  readonly #file: FileHandle;
  readonly #steps: ReceiveSteps;
  readonly #hashing: Hashing;
  #buffer: PooledBuffer | undefined;
  #filled = 0;
  #written = 0;
  #syncedUpTo = 0;
  #syncing: Promise<void> | undefined;
  readonly #inFlight = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  constructor(file: FileHandle, steps: ReceiveSteps) {
    this.#file = file;
    this.#steps = steps;
    this.#hashing = steps.hashThread.begin();
  }

  /**
   * Returns a promise when too many buffers are with the thread; it resolves when there is room.
   */
  take(chunk: Buffer): Promise<void> | undefined {
    if (this.#failure) throw this.#failure.error;
    this.size += chunk.length;
    const { maxBytes } = this.#steps;
    if (maxBytes > 0 && this.size > maxBytes) throw tooLarge(maxBytes);
    this.#steps.onBytes?.(chunk.length);
    for (let from = 0; from < chunk.length;) {
      this.#buffer ??= this.#steps.buffers.take();
      const part = chunk.subarray(from, from + BUFFER_BYTES - this.#filled);
      this.#buffer.set(part, this.#filled);
      this.#filled += part.length;
      from += part.length;
      if (this.#filled === BUFFER_BYTES) this.#flush();
    }
    return this.#inFlight.size < maxInFlight ? undefined : this.#room();
  }

  async end(): Promise<Sha256> {
    this.#flush();
    await Promise.all(this.#inFlight);
    await this.#syncing;
    if (this.#failure) throw this.#failure.error;
    return (await this.#hashing.digest()) as Sha256;
  }

  /** Waits until nothing uses the file or the buffers any more. */
  async abandon(): Promise<void> {
    await Promise.allSettled([...this.#inFlight, this.#syncing, this.#hashing.drop()]);
    if (this.#buffer) this.#steps.buffers.giveBack(this.#buffer);
    this.#buffer = undefined;
  }

  async #room(): Promise<void> {
    while (this.#inFlight.size >= maxInFlight) await Promise.race(this.#inFlight);
    if (this.#failure) throw this.#failure.error;
  }

  #flush(): void {
    const buffer = this.#buffer;
    const filled = this.#filled;
    if (!buffer || filled === 0) return;
    const target = { fd: this.#file.fd, position: this.#written };
    this.#buffer = undefined;
    this.#filled = 0;
    this.#written += filled;
    const work = this.#hashing
      .update(buffer, filled, (back) => this.#steps.buffers.giveBack(back), target)
      .then(() => {
        if (this.#written - this.#syncedUpTo >= syncEvery && !this.#syncing)
          this.#syncInBackground();
      })
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#inFlight.delete(work);
      });
    this.#inFlight.add(work);
  }

  #syncInBackground(): void {
    this.#syncedUpTo = this.#written;
    this.#syncing = ensureFree(this.#steps.path, syncEvery)
      .then(() => this.#file.datasync())
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#syncing = undefined;
      });
  }
}

export function tooLarge(maxBytes: number): AppError {
  return new AppError(
    'too_large',
    `the dataset is larger than the ${maxBytes} bytes that JR_MAX_UPLOAD_GB allows; split it or raise the setting`,
    { details: { max_bytes: maxBytes } },
  );
}
