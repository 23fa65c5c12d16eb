import { open, type FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { AppError, isDiskFull } from '../../errors.js';
import type { Sha256 } from '../digest.js';
import { demandFree, diskFull } from '../free-disk.js';
import type { HashThread, Hashing } from './hash-thread.js';
import { pump } from './pump.js';
import { SLAB_BYTES, type Slab, type SlabPool } from './slab-pool.js';

/** Slabs one upload may have under way. */
const MOST_IN_FLIGHT = 16;
/** Written pages are sent to the disk this often, so that the last fsync finds little left to do. */
const SYNC_EVERY = 64 * 2 ** 20;

export interface ReceiveSteps {
  body: Readable;
  /** Made by us; must not exist. */
  path: string;
  /** Most bytes taken; 0 = no limit but the free disk. */
  maxBytes: number;
  /** Told of each chunk's bytes; what it throws ends the upload. */
  onBytes?: ((bytes: number) => void) | undefined;
  hashThread: HashThread;
  slabs: SlabPool;
  signal: AbortSignal;
}

/** A file on disk with the digest of what was written to it. It is not yet synced. */
export interface ReceivedFile {
  sha256: Sha256;
  size: number;
  file: FileHandle;
}

/**
 * Writes and hashes `body` in one pass with a fixed amount of memory; the body is left alone if that fails.
 * @throws AppError too_large as soon as the limit is passed; disk_full; what `onBytes` throws; and as {@link pump} does.
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
  private readonly hashing: Hashing;
  private slab: Slab | undefined;
  private filled = 0;
  private written = 0;
  private syncedUpTo = 0;
  private syncing: Promise<void> | undefined;
  private readonly inFlight = new Set<Promise<void>>();
  private failure: { error: unknown } | undefined;

  constructor(
    private readonly file: FileHandle,
    private readonly steps: ReceiveSteps,
  ) {
    this.hashing = steps.hashThread.begin();
  }

  /** Returns a promise when too much is under way. */
  take(chunk: Buffer): Promise<void> | undefined {
    if (this.failure) throw this.failure.error;
    this.size += chunk.length;
    const { maxBytes } = this.steps;
    if (maxBytes > 0 && this.size > maxBytes) throw tooLarge(maxBytes);
    this.steps.onBytes?.(chunk.length);
    for (let from = 0; from < chunk.length;) {
      this.slab ??= this.steps.slabs.take();
      const part = chunk.subarray(from, from + SLAB_BYTES - this.filled);
      this.slab.set(part, this.filled);
      this.filled += part.length;
      from += part.length;
      if (this.filled === SLAB_BYTES) this.flush();
    }
    return this.inFlight.size < MOST_IN_FLIGHT ? undefined : this.room();
  }

  async end(): Promise<Sha256> {
    this.flush();
    await Promise.all(this.inFlight);
    await this.syncing;
    if (this.failure) throw this.failure.error;
    return (await this.hashing.digest()) as Sha256;
  }

  /** Waits until nothing touches the file or the slabs any more. */
  async abandon(): Promise<void> {
    await Promise.allSettled([...this.inFlight, this.syncing, this.hashing.drop()]);
    if (this.slab) this.steps.slabs.giveBack(this.slab);
    this.slab = undefined;
  }

  private async room(): Promise<void> {
    while (this.inFlight.size >= MOST_IN_FLIGHT) await Promise.race(this.inFlight);
    if (this.failure) throw this.failure.error;
  }

  private flush(): void {
    const { slab, filled } = this;
    if (!slab || filled === 0) return;
    const to = { fd: this.file.fd, position: this.written };
    this.slab = undefined;
    this.filled = 0;
    this.written += filled;
    const work = this.hashing
      .update(slab, filled, (back) => this.steps.slabs.giveBack(back), to)
      .then(() => {
        if (this.written - this.syncedUpTo >= SYNC_EVERY && !this.syncing) this.syncInBackground();
      })
      .catch((error: unknown) => {
        this.failure ??= { error };
      })
      .finally(() => {
        this.inFlight.delete(work);
      });
    this.inFlight.add(work);
  }

  private syncInBackground(): void {
    this.syncedUpTo = this.written;
    this.syncing = demandFree(this.steps.path, SYNC_EVERY)
      .then(() => this.file.datasync())
      .catch((error: unknown) => {
        this.failure ??= { error };
      })
      .finally(() => {
        this.syncing = undefined;
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
