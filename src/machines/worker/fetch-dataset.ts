import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Logger } from 'pino';
import type { WorkerJob } from '../../cluster/workers/record.js';
import type { Sha256 } from '../../datasets/digest.js';
import { DatasetFolders, isWhole } from '../../datasets/folders.js';
import { KeyLock } from '../../key-lock.js';
import { unpack } from '../../datasets/unpack.js';
import type { ControllerLink } from './controller-link.js';
import { bytesIn, DatasetCache } from './dataset-cache.js';
import { retryUntilReachable } from './retry-until-reachable.js';

type WantedDataset = NonNullable<WorkerJob['dataset']>;

const noLimits = { extractBytes: 0, extractFiles: 0, roomBytes: Infinity };

export interface FetcherParts {
  root: string;
  link: ControllerLink;
  /** The most bytes that the copies may take; 0 for the free disk. */
  maxBytes: number;
  /** Returns whether a job here uses or awaits the dataset, which then stays. */
  isInUse: (sha256: string) => boolean;
  log: Logger;
}

/** Fetches each dataset once, by its digest, into the folders that it has on the controller. */
export class DatasetFetcher {
  readonly #parts: FetcherParts;

  readonly #folders: DatasetFolders;
  readonly #cache: DatasetCache;
  readonly #locks = new KeyLock();

  constructor(parts: FetcherParts) {
    this.#parts = parts;

    const { root, maxBytes, isInUse, log } = parts;
    this.#folders = new DatasetFolders(root);
    this.#cache = new DatasetCache({
      folders: this.#folders,
      maxBytes,
      isInUse,
      now: Date.now,
      log,
    });
  }

  /** Removes unfinished copies. */
  async start(): Promise<void> {
    await rm(this.#folders.incoming, { recursive: true, force: true });
    await this.#cache.start();
  }

  /**
   * Fetches a dataset, removing the least recently used copies to make room.
   * @throws AppError archive_refused, disk_full; Error when another dataset arrives
   */
  fetch(dataset: WantedDataset, signal: AbortSignal): Promise<void> {
    return this.#locks.hold(dataset.sha256, async () => {
      const sha256 = dataset.sha256 as Sha256;
      if (await isWhole(this.#folders.of(sha256), dataset.size)) {
        await this.#cache.use(sha256);
        return;
      }
      this.#cache.forget(sha256);
      await this.#cache.makeRoom(dataset.size);
      const incoming = await this.#folders.makeIncoming();
      const { log } = this.#parts;
      const withRoom = <T>(work: () => Promise<T>) => this.#cache.withRoom(dataset.size, work);
      try {
        const receive = () => this.#receive(dataset, incoming.original, signal);
        await withRoom(() => retryUntilReachable(receive, log, signal));
        const hash = createHash('sha256');
        await pipeline(createReadStream(incoming.original), hash, { signal });
        if (hash.digest('hex') !== sha256)
          throw new Error(`dataset ${sha256} differs from the controller’s after its transfer`);
        await withRoom(async () => {
          // Left by a disk that was full.
          await rm(incoming.tree, { recursive: true, force: true });
          await unpack(incoming, dataset.name, noLimits, signal);
        });
        await this.#cache.keepBelowLimit(await bytesIn(incoming.folder));
        await this.#folders.publish(incoming, sha256);
        await this.#cache.add(sha256);
      } finally {
        await rm(incoming.holder, { recursive: true, force: true });
      }
    });
  }

  /** Receives the file, from the byte where an earlier try was cut off. */
  async #receive({ sha256 }: WantedDataset, path: string, signal: AbortSignal): Promise<void> {
    const { link } = this.#parts;
    const file = await open(path, 'a', 0o640);
    try {
      const { size } = await file.stat();
      const reply = await link.open('GET', `/workers/datasets/${sha256}?from=${size}`, { signal });
      await link.drain(reply, (chunk) => file.appendFile(chunk));
      await file.sync();
    } finally {
      await file.close();
    }
  }
}
