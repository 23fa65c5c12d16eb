import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Logger } from 'pino';
import type { BoxJob } from '../boxes/record.js';
import type { Sha256 } from '../datasets/digest.js';
import { DatasetFolders, isWhole } from '../datasets/folders.js';
import { demandFree } from '../datasets/free-disk.js';
import { KeyLock } from '../key-lock.js';
import { unpack } from '../datasets/unpack.js';
import type { ControllerLink } from './controller-link.js';
import { patiently } from './patiently.js';

type WantedDataset = NonNullable<BoxJob['dataset']>;

const noLimits = { extractBytes: 0, extractFiles: 0 };

/** Brings datasets here by their digest, each once, in the folders that they have on the controller. */
export class DatasetFetcher {
  readonly #folders: DatasetFolders;
  readonly #locks = new KeyLock();

  constructor(
    root: string,
    private readonly link: ControllerLink,
    private readonly log: Logger,
  ) {
    this.#folders = new DatasetFolders(root);
  }

  /** Removes what was cut off. */
  async start(): Promise<void> {
    await rm(this.#folders.incoming, { recursive: true, force: true });
    await this.#folders.makeAll();
  }

  /** @throws AppError archive_refused, disk_full; Error when what came is not that dataset. */
  fetch(dataset: WantedDataset, signal: AbortSignal): Promise<void> {
    return this.#locks.hold(dataset.sha256, async () => {
      const sha256 = dataset.sha256 as Sha256;
      if (await isWhole(this.#folders.of(sha256), dataset.size)) return;
      await demandFree(this.#folders.root, dataset.size);
      const incoming = await this.#folders.makeIncoming();
      try {
        await patiently(() => this.#receive(dataset, incoming.original, signal), this.log, signal);
        const hash = createHash('sha256');
        await pipeline(createReadStream(incoming.original), hash, { signal });
        if (hash.digest('hex') !== sha256)
          throw new Error(`dataset ${sha256} did not arrive as it is on the controller`);
        await unpack(incoming, dataset.name, noLimits, signal);
        await this.#folders.publish(incoming, sha256);
      } finally {
        await rm(incoming.holder, { recursive: true, force: true });
      }
    });
  }

  /** Goes on from the byte where it was cut off. */
  async #receive({ sha256 }: WantedDataset, path: string, signal: AbortSignal): Promise<void> {
    const file = await open(path, 'a', 0o640);
    try {
      const { size } = await file.stat();
      const reply = await this.link.open('GET', `/boxes/datasets/${sha256}?from=${size}`, {
        signal,
      });
      await this.link.drain(reply, (chunk) => file.appendFile(chunk));
      await file.sync();
    } finally {
      await file.close();
    }
  }
}
