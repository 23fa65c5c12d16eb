import { EventEmitter } from 'node:events';
import type { Database } from '../db/database.js';
import type { JobId } from './job.js';
import * as store from './store.js';

/** Wakes callers that wait for a job's end, whether in Slurm or before Slurm accepted the job. */
export class JobEndings {
  readonly #db: Database;
  readonly #events = new EventEmitter<{ ended: [JobId] }>().setMaxListeners(0);

  constructor(db: Database) {
    this.#db = db;
  }

  /** Wakes those who wait for the job. Call this once its row says that it has ended. */
  tell(id: JobId): void {
    this.#events.emit('ended', id);
  }

  /** Resolves once the job has ended or `signal` fires; the job's row tells which. */
  async wait(id: JobId, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#events.off('ended', onEnded);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const onEnded = (ended: JobId) => {
        if (ended === id) done();
      };
      this.#events.on('ended', onEnded);
      signal.addEventListener('abort', done);
      if (signal.aborted || store.findJob(this.#db, id)?.terminal !== false) done();
    });
  }
}
