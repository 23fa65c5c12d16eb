import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { Database } from '../db/database.js';
import { AppError, fieldError, errnoOf, isDiskFull } from '../errors.js';
import { UploadReservations, type Room } from './upload/reservations.js';
import type { Sha256 } from './digest.js';
import { findDamage } from './find-damage.js';
import { DatasetFolders, type IncomingFolder } from './folders.js';
import { ensureFree, diskFull } from './free-disk.js';
import { FairTurns } from '../fair-turns.js';
import { HashThread } from './upload/hash-thread.js';
import { KeyLock } from '../key-lock.js';
import { listFiles, type FilePage } from './list-files.js';
import {
  findWhole,
  makeDataset,
  type KeepOptions,
  type Kept,
  type StagedUpload,
} from './make-dataset.js';
import { receiveFile, tooLarge } from './upload/receive-file.js';
import { reconcile } from './reconcile.js';
import { BufferPool } from './upload/buffer-pool.js';
import { deleteDataset, findDataset, listDatasets, markChecked, type Dataset } from './store.js';
import { needsExtractor } from './unpack.js';
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

/** A kept upload. */
export interface KeptUpload extends Kept {
  /** Seconds it waited for the unpacking of other archives. */
  waited: number;
}

/** Archives unpacked at once, in total; each takes a processor and some 65 MB of memory. */
const maxExtractors = Math.max(2, availableParallelism());
/** Archives of one user unpacked at once. */
const maxExtractorsPerUser = Math.ceil(maxExtractors / 2);

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
  /** For work with an extractor. Whoever needs a turn and a lock takes the turn first. */
  readonly #turns = new FairTurns(maxExtractors, maxExtractorsPerUser);
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
  async receive(body: Readable, options: KeepOptions): Promise<KeptUpload> {
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
      await this.refuseLength(owner, length ?? 0);
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

  /**
   * Does the second half of {@link receive}; uses up the staged upload, even on failure. An archive
   * waits for its owner's turn, so that many archives neither exhaust the machine nor hold up other
   * users'.
   */
  async keep(staged: StagedUpload, options: KeepOptions): Promise<KeptUpload> {
    try {
      if (staged.size === 0)
        throw fieldError('bad_request', 'file', 'is empty; a dataset has at least one byte');
      refuseMismatch(staged.sha256, options.expectedSha);
      return await this.#run(options.signal, async (signal) => {
        const asked = performance.now();
        let begun = asked;
        const make = () => {
          begun = performance.now();
          return this.#locks.hold(staged.sha256, () =>
            makeDataset({ ...this.#parts, folders: this.#folders }, staged, options, signal),
          );
        };
        const kept = await ((await this.#mustUnpack(staged))
          ? this.#turns.run(options.owner, signal, make)
          : make());
        return { ...kept, waited: (begun - asked) / 1000 };
      });
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

  /**
   * Refuses an upload by its announced length alone.
   * @throws AppError too_large, disk_full, quota_exceeded
   */
  async refuseLength(owner: string, length: number): Promise<void> {
    const { root, limits } = this.#parts;
    if (limits.uploadBytes > 0 && length > limits.uploadBytes) throw tooLarge(limits.uploadBytes);
    await ensureFree(root, length);
    this.#reservations.begin(owner, length).end();
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

  /**
   * Finds the dataset if a good copy is stored.
   * @param length the original's, if known; another one finds nothing
   */
  async findStored(sha256: Sha256, length: number | undefined): Promise<Dataset | undefined> {
    const size = findDataset(this.#parts.db, sha256)?.size;
    if (size === undefined || (length !== undefined && length !== size)) return undefined;
    return findWhole(this.#parts.db, this.#folders, sha256, size);
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
   * Reads every stored byte in the caller's turn, and marks the dataset as corrupt or as good
   * again.
   * @throws AppError not_found, disk_full
   */
  verify(sha256: Sha256, user: string, signal?: AbortSignal): Promise<Verdict> {
    return this.#run(signal, (either) => {
      const check = () => this.#locks.hold(sha256, () => this.#check(sha256, either));
      return this.#turns.run(user, either, check);
    });
  }

  async #check(sha256: Sha256, signal: AbortSignal): Promise<Verdict> {
    const { db, log, now } = this.#parts;
    const problem = await findDamage({
      dataset: this.get(sha256),
      folders: this.#folders,
      hashThread: this.#hashThread,
      buffers: this.#buffers,
      signal,
    });
    if (problem !== undefined) log.error({ sha256, problem }, 'a stored dataset is damaged');
    markChecked(db, sha256, problem !== undefined, now());
    return { dataset: this.get(sha256), problem };
  }

  async #mustUnpack({ sha256, size, incoming }: StagedUpload): Promise<boolean> {
    const stored = await findWhole(this.#parts.db, this.#folders, sha256, size);
    return stored === undefined && (await needsExtractor(incoming));
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
