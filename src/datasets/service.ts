import { rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { Database } from '../db/database.js';
import { AppError, fieldError, errnoOf, isDiskFull } from '../errors.js';
import { UploadReservations, type Room } from './upload/reservations.js';
import type { Sha256 } from './digest.js';
import { findDamage } from './find-damage.js';
import { DatasetFolders, type IncomingFolder } from './folders.js';
import { ensureFree, diskFull } from './free-disk.js';
import { HashThread } from './upload/hash-thread.js';
import { KeyLock } from '../key-lock.js';
import { listFiles, type FilePage } from './list-files.js';
import { makeDataset, type KeepOptions, type Kept, type StagedUpload } from './make-dataset.js';
import { receiveFile, tooLarge } from './upload/receive-file.js';
import { reconcile } from './reconcile.js';
import { BufferPool } from './upload/buffer-pool.js';
import { deleteDataset, findDataset, listDatasets, markChecked, type Dataset } from './store.js';
import { WorkInFlight } from './work-in-flight.js';

export interface DatasetServiceParts {
  db: Database;
  /** `$JR_ROOT/datasets`; when it is set-group-ID, everything made in it gets its group. */
  root: string;
  /** 0 means no limit but the free disk. */
  limits: { uploadBytes: number; extractBytes: number; extractFiles: number };
  /** Milliseconds since 1970. */
  now: () => number;
  log: Logger;
  /** Tells whether an unfinished job uses the dataset. */
  isInUse: (sha256: Sha256) => boolean;
  room: Room;
}

export interface Verdict {
  dataset: Dataset;
  /** The damage in words; undefined when every byte is as it was uploaded. */
  problem: string | undefined;
}

/**
 * Stores datasets by SHA-256, each as a whole or not at all, even if the process dies. Every method
 * that takes bytes or time throws AppError shutting_down after `close`, and disk_full when the disk
 * is full.
 */
export class DatasetService {
  readonly #parts: DatasetServiceParts;

  readonly #folders: DatasetFolders;
  readonly #hashThread = new HashThread();
  readonly #buffers = new BufferPool();
  readonly #locks = new KeyLock();
  readonly #work = new WorkInFlight();
  readonly #reservations: UploadReservations;

  constructor(parts: DatasetServiceParts) {
    this.#parts = parts;

    this.#reservations = new UploadReservations(parts.room);
    this.#folders = new DatasetFolders(parts.root);
  }

  /** Removes the leftovers of a crash; call it before any other method. */
  async start(): Promise<void> {
    const { db, log, now } = this.#parts;
    await this.#folders.makeAll();
    await reconcile(db, this.#folders, log, now);
  }

  /** Stops all work under way, which leaves nothing behind, and waits for its end. */
  async close(): Promise<void> {
    await this.#work.close();
    await this.#hashThread.close();
  }

  /**
   * Stores `body`. On failure the rest stays unread, and the caller destroys it.
   * @throws AppError bad_request (empty, cut off), sha256_mismatch, too_large, archive_refused; the
   *   body's own error; the signal's reason
   */
  async receive(body: Readable, options: KeepOptions): Promise<Kept> {
    return this.keep(await this.stage(body, options), options);
  }

  /**
   * Does the first half of {@link receive}, for callers who learn the expected digest after the
   * bytes.
   * @param length bytes to come, when known; too many are refused before the first is read
   */
  stage(
    body: Readable,
    {
      owner,
      signal,
      length,
    }: { owner: string; signal?: AbortSignal | undefined; length?: number | undefined },
  ): Promise<StagedUpload> {
    return this.#run(signal, async (either) => {
      this.refuseLength(length);
      await ensureFree(this.#parts.root, length ?? 0);
      const reservation = this.#reservations.begin(owner, length ?? 0);
      let incoming: IncomingFolder | undefined;
      try {
        incoming = await this.#folders.makeIncoming();
        const received = await receiveFile({
          body,
          path: incoming.original,
          maxBytes: this.#parts.limits.uploadBytes,
          onBytes: (bytes) => reservation.add(bytes),
          hashThread: this.#hashThread,
          buffers: this.#buffers,
          signal: either,
        });
        this.#parts.log.debug({ sha256: received.sha256, step: 'received' }, 'dataset');
        return { ...received, incoming, reservation };
      } catch (error) {
        if (incoming) await remove(incoming.holder);
        reservation.end();
        throw error;
      }
    });
  }

  /** Does the second half of {@link receive}; uses up the staged upload, even on failure. */
  async keep(staged: StagedUpload, options: KeepOptions): Promise<Kept> {
    try {
      if (staged.size === 0)
        throw fieldError('bad_request', 'file', 'is empty; a dataset has at least one byte');
      refuseMismatch(staged.sha256, options.expectedSha);
      return await this.#run(options.signal, (signal) =>
        this.#locks.hold(staged.sha256, () =>
          makeDataset({ ...this.#parts, folders: this.#folders }, staged, options, signal),
        ),
      );
    } finally {
      await this.discard(staged);
    }
  }

  /** Discards a staged upload; a second call does nothing. */
  async discard(staged: StagedUpload): Promise<void> {
    await staged.file.close();
    await remove(staged.incoming.holder);
    staged.reservation.end();
  }

  /** Refuses a request by its Content-Length alone. @throws AppError too_large */
  refuseLength(length: number | undefined): void {
    const { uploadBytes } = this.#parts.limits;
    if (length !== undefined && uploadBytes > 0 && length > uploadBytes)
      throw tooLarge(uploadBytes);
  }

  /** @param field that names the dataset in the call @throws AppError not_found */
  get(sha256: Sha256, field = 'sha256'): Dataset {
    const dataset = findDataset(this.#parts.db, sha256);
    if (!dataset)
      throw new AppError(
        'not_found',
        `dataset ${sha256}: not stored here; upload it first (POST /datasets/upload)`,
        { details: { fields: [field] } },
      );
    return dataset;
  }

  list(): Dataset[] {
    return listDatasets(this.#parts.db);
  }

  /**
   * Tells whether a job could use the dataset. False for a corrupt one, so that it is uploaded
   * again.
   */
  exists(sha256: Sha256): boolean {
    return findDataset(this.#parts.db, sha256)?.corrupt === false;
  }

  /** @throws AppError not_found, bad_request (after) */
  async files(
    sha256: Sha256,
    page: { limit: number; after?: string | undefined },
  ): Promise<FilePage> {
    this.get(sha256);
    return listFiles(this.#folders.of(sha256).tree, page);
  }

  /**
   * Returns the paths that a job reads.
   * @throws AppError not_found, dataset_corrupt
   */
  forJob(sha256: Sha256): { treeDir: string; originalPath: string } {
    if (this.get(sha256, 'dataset_sha').corrupt)
      throw new AppError(
        'dataset_corrupt',
        `dataset ${sha256}: its stored bytes are damaged; upload it again`,
        { details: { fields: ['dataset_sha'] } },
      );
    const { tree, original } = this.#folders.of(sha256);
    return { treeDir: tree, originalPath: original };
  }

  /**
   * Deletes a dataset.
   * @param mayDelete tells whether the caller may delete that owner's datasets
   * @throws AppError not_found, forbidden; conflict while an unfinished job uses the dataset
   */
  remove(sha256: Sha256, mayDelete: (owner: string) => boolean): Promise<void> {
    return this.#run(undefined, () =>
      this.#locks.hold(sha256, async () => {
        const { owner } = this.get(sha256);
        if (!mayDelete(owner))
          throw new AppError(
            'forbidden',
            `dataset ${sha256}: only ${owner} or an admin may delete it`,
            { details: { owner } },
          );
        if (this.#parts.isInUse(sha256))
          throw new AppError(
            'conflict',
            `dataset ${sha256}: an unfinished job uses it; wait for the job or cancel it`,
          );
        // There is no await since the check, so no job can start to use the dataset meanwhile.
        const aside = this.#parts.db.transaction(() => {
          deleteDataset(this.#parts.db, sha256);
          return this.#folders.setAside(sha256);
        })();
        await this.#folders.syncParent(sha256);
        if (aside !== undefined) await remove(aside);
      }),
    );
  }

  /**
   * Reads every stored byte and marks the dataset as corrupt, or as good again.
   * @throws AppError not_found, disk_full
   */
  verify(sha256: Sha256, signal?: AbortSignal): Promise<Verdict> {
    const { db, log, now } = this.#parts;
    return this.#run(signal, (either) =>
      this.#locks.hold(sha256, async () => {
        const dataset = this.get(sha256);
        const problem = await findDamage({
          dataset,
          folders: this.#folders,
          hashThread: this.#hashThread,
          buffers: this.#buffers,
          signal: either,
        });
        if (problem !== undefined) log.error({ sha256, problem }, 'a stored dataset is damaged');
        markChecked(db, sha256, problem !== undefined, now());
        return { dataset: this.get(sha256), problem };
      }),
    );
  }

  async #run<T>(
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#work.run(signal, work);
    } catch (error) {
      throw isDiskFull(error) || errnoOf(error) === 'SQLITE_FULL' ? diskFull(error) : error;
    }
  }
}

function refuseMismatch(actual: Sha256, expected: Sha256 | undefined): void {
  if (expected === undefined || expected === actual) return;
  throw fieldError(
    'sha256_mismatch',
    'sha256',
    `the received bytes have ${actual}, not ${expected}; nothing was stored, send the file again`,
    { details: { expected, actual } },
  );
}

function remove(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true });
}
