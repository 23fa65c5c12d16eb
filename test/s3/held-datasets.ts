import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform, type Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { Sha256 } from '../../src/datasets/digest.js';
import type { DatasetReceiver } from '../../src/datasets/import/transfer.js';
import type { DatasetService } from '../../src/datasets/service.js';
import type { Database } from '../../src/db/database.js';
import { openDatasets } from '../datasets/open-datasets.js';

type Options = Parameters<DatasetReceiver['receive']>[1];

/**
 * The real dataset service behind a valve that can stop a stream at a byte of the test's choice.
 */
export class HeldDatasets implements DatasetReceiver {
  readonly received: Options[] = [];
  #valve: { at: number; reached: () => void; go: Promise<void> } | undefined;

  private constructor(
    readonly root: string,
    readonly service: DatasetService,
  ) {}

  static async open(db: Database, log: Logger): Promise<HeldDatasets> {
    const root = await mkdtemp(join(tmpdir(), 'jr-import-'));
    const service = openDatasets(db, root, { log });
    await service.start();
    return new HeldDatasets(root, service);
  }

  /** Stops the next stream after this many bytes, until `go` is called. */
  holdAt(at: number): { reached: Promise<void>; go: () => void } {
    const held: { reached?: () => void; go?: () => void } = {};
    const reached = new Promise<void>((resolve) => (held.reached = resolve));
    const go = new Promise<void>((resolve) => (held.go = resolve));
    this.#valve = { at, reached: () => held.reached?.(), go };
    return { reached, go: () => held.go?.() };
  }

  exists(sha256: Sha256): boolean {
    return this.service.exists(sha256);
  }

  async receive(body: Readable, options: Options) {
    this.received.push(options);
    const valve = this.#valve;
    this.#valve = undefined;
    let bytes = 0;
    const through = new Transform({
      transform: (chunk: Buffer, _encoding, callback) => {
        bytes += chunk.length;
        if (!valve || bytes < valve.at) return callback(null, chunk);
        valve.reached();
        void valve.go.then(() => callback(null, chunk));
      },
    });
    body.on('error', (error) => through.destroy(error));
    return this.service.receive(body.pipe(through), options);
  }

  treeOf(sha256: string): string {
    return this.service.forJob(sha256 as Sha256).treeDir;
  }

  /**
   * Lists every file and folder under the datasets' folder that belongs to a dataset or is left
   * over.
   */
  async leftOnDisk(): Promise<string[]> {
    const all = await readdir(this.root, { recursive: true });
    return all.filter((path) => /[0-9a-f]{64}|original/.test(path));
  }

  async close(): Promise<void> {
    await this.service.close();
    await rm(this.root, { recursive: true });
  }
}
