import { readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Logger } from 'pino';
import { sha256Schema, type Sha256 } from '../../datasets/digest.js';
import type { DatasetFolders, DatasetPaths } from '../../datasets/folders.js';
import { freeForDatasets } from '../../datasets/free-disk.js';
import { AppError, errnoOf } from '../../errors.js';

interface Copy {
  sha256: Sha256;
  /** Bytes on the disk, original and tree together. */
  bytes: number;
  /** Milliseconds since 1970. */
  usedAt: number;
}

export interface CacheParts {
  folders: DatasetFolders;
  /** The most bytes that all copies may take; 0 for the free disk. */
  maxBytes: number;
  /** Returns whether a running or starting job needs the dataset. */
  isInUse: (sha256: Sha256) => boolean;
  now: () => number;
  log: Logger;
}

/**
 * The copies of datasets on a worker. The least recently used copy is removed first; one in use
 * stays.
 */
export class DatasetCache {
  readonly #parts: CacheParts;

  readonly #copies = new Map<Sha256, Copy>();

  constructor(parts: CacheParts) {
    this.#parts = parts;
  }

  /** Finds the copies of an earlier run. */
  async start(): Promise<void> {
    const { folders } = this.#parts;
    await rm(folders.trash, { recursive: true, force: true });
    await folders.makeAll();
    for (const prefix of await readdir(folders.root))
      for (const name of /^[0-9a-f]{2}$/.test(prefix)
        ? await readdir(join(folders.root, prefix))
        : []) {
        const sha256 = sha256Schema.safeParse(name);
        if (sha256.success) await this.#findOut(sha256.data);
      }
    await this.keepBelowLimit(0).catch((error: unknown) => {
      // Running jobs use more than the new limit; the next dataset will be refused.
      if (!isDiskFull(error)) throw error;
    });
  }

  /** Records that a job is about to use a copy. */
  async use(sha256: Sha256): Promise<void> {
    const copy = this.#copies.get(sha256);
    if (copy === undefined) return;
    copy.usedAt = this.#parts.now();
    const at = new Date(copy.usedAt);
    await utimes(noteIn(this.#parts.folders.of(sha256)), at, at);
  }

  /** Records a new copy. */
  async add(sha256: Sha256): Promise<void> {
    await this.#findOut(sha256);
  }

  forget(sha256: Sha256): void {
    this.#copies.delete(sha256);
  }

  /**
   * Makes room for that many more bytes by removing other copies.
   * @throws AppError disk_full when that is impossible
   */
  async makeRoom(bytes: number): Promise<void> {
    await this.keepBelowLimit(bytes);
    while ((await freeForDatasets(this.#parts.folders.root)) < bytes) await this.#evictOne(bytes);
  }

  /**
   * Keeps all copies and the given one, which may be on the disk already, below their limit.
   * @throws AppError disk_full when that is impossible
   */
  async keepBelowLimit(bytes: number): Promise<void> {
    const { maxBytes, isInUse } = this.#parts;
    if (maxBytes === 0) return;
    for (;;) {
      const copies = [...this.#copies.values()];
      if (copies.reduce((sum, copy) => sum + copy.bytes, bytes) <= maxBytes) return;
      if (copies.every(({ sha256 }) => isInUse(sha256)))
        throw new AppError(
          'disk_full',
          `JR_CACHE_GB: the dataset needs ${gib(bytes)} of the ${gib(maxBytes)} for datasets on this worker${copies.length === 0 ? '' : ', and running jobs use the rest'}`,
        );
      await this.#evictOne(bytes);
    }
  }

  /**
   * Does the work, and repeats it while the disk is full and another copy can be removed.
   * @param bytes that it needs, as far as known
   * @throws AppError disk_full; errors of `work`
   */
  async withRoom<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        await this.#evictOne(bytes);
      }
    }
  }

  /** Removes one copy. @throws AppError disk_full when every other copy is in use */
  async #evictOne(bytes: number): Promise<void> {
    const { folders, isInUse, log } = this.#parts;
    const [oldest] = [...this.#copies.values()]
      .filter((copy) => !isInUse(copy.sha256))
      .sort((a, b) => a.usedAt - b.usedAt);
    if (oldest === undefined) {
      const free = Math.max(0, await freeForDatasets(folders.root));
      throw new AppError(
        'disk_full',
        `the disk of this worker is too full for the dataset, which needs at least ${gib(bytes)}: ${gib(free)} are free, and jobs use all other datasets`,
      );
    }
    this.#copies.delete(oldest.sha256);
    const aside = folders.setAside(oldest.sha256);
    if (aside !== undefined) await rm(aside, { recursive: true, force: true });
    log.info(
      { sha256: oldest.sha256, bytes: oldest.bytes },
      'removed a dataset to make room for another',
    );
  }

  /** Records a copy. A note beside it has its size; the note's time is the copy's last use. */
  async #findOut(sha256: Sha256): Promise<void> {
    const paths = this.#parts.folders.of(sha256);
    const note = noteIn(paths);
    const known = await readFile(note, 'utf8').catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error;
      return undefined;
    });
    const bytes = known === undefined ? await bytesIn(paths.folder) : Number(known);
    if (known === undefined) await writeFile(note, String(bytes), { mode: 0o640 });
    const { mtimeMs: usedAt } = await stat(note);
    this.#copies.set(sha256, { sha256, bytes, usedAt });
  }
}

const noteIn = ({ folder }: DatasetPaths) => join(folder, 'bytes');

/** Returns the bytes on the disk below that folder. */
export async function bytesIn(folder: string): Promise<number> {
  const { stdout } = await execa('du', ['-s', '--block-size=1', folder]);
  return Number(stdout.split('\t')[0]);
}

function isDiskFull(error: unknown): boolean {
  if (error instanceof AppError) return error.code === 'disk_full';
  return ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '');
}

const gib = (bytes: number) => `${(bytes / 2 ** 30).toPrecision(3)} GiB`;
