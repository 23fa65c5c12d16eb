import { readFileSync, statSync } from 'node:fs';
import { errnoOf } from '../../errors.js';
import { workersRecordSchema, type WorkerRecord } from './record.js';
import { digestOf, isSameSecret } from '../../config/join-token.js';

/** The workers that the controller records in a file; read again whenever the file changes. */
export class WorkerList {
  readonly #path: string;

  #workers: WorkerRecord[] = [];
  #stamp = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** Returns the workers that have joined and not left; only Slurm knows whether they answer. */
  open(): WorkerRecord[] {
    return this.all().filter((worker) => !worker.left);
  }

  /** Returns all workers, including those that have left. */
  all(): readonly WorkerRecord[] {
    try {
      const { ino, mtimeMs, size } = statSync(this.#path);
      const stamp = `${ino} ${mtimeMs} ${size}`;
      if (stamp !== this.#stamp) {
        this.#workers = workersRecordSchema.parse(
          JSON.parse(readFileSync(this.#path, 'utf8')),
        ).workers;
        this.#stamp = stamp;
      }
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      this.#workers = [];
      this.#stamp = '';
    }
    return this.#workers;
  }

  /** Finds the worker that has this token. */
  holderOf(token: string): WorkerRecord | undefined {
    const hash = digestOf(token).toString('hex');
    return this.all().find((worker) => isSameSecret(worker.token_hash, hash));
  }
}
