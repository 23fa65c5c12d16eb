import type { Database } from '../db/database.js';
import type { Job, JobId } from './job.js';
import * as store from './store.js';

/**
 * The jobs that have not ended, kept in memory: reading and parsing thousands of rows at each poll
 * would stop the API for too long. Triggers report each row that changes, and the next call reads
 * only those rows. No other connection writes to the database.
 */
export class LiveJobs {
  readonly #db: Database;
  readonly #jobs: Map<JobId, Job>;
  readonly #changed = new Set<JobId>();
  #sorted: readonly Job[] | undefined;

  constructor(db: Database) {
    this.#db = db;
    db.function('job_changed', (id) => {
      this.#changed.add(id as JobId);
      return null;
    });
    // Temporary triggers belong to this connection and end with it.
    db.exec(`
      CREATE TEMP TRIGGER job_inserted AFTER INSERT ON jobs BEGIN SELECT job_changed(NEW.job_id); END;
      CREATE TEMP TRIGGER job_updated AFTER UPDATE ON jobs BEGIN SELECT job_changed(NEW.job_id); END;
      CREATE TEMP TRIGGER job_deleted AFTER DELETE ON jobs BEGIN SELECT job_changed(OLD.job_id); END;
    `);
    this.#jobs = new Map(store.liveJobs(db).map((job) => [job.job_id, job]));
  }

  /** Returns all of them, oldest first. */
  all(): readonly Job[] {
    this.#refresh();
    this.#sorted ??= [...this.#jobs.values()].sort((a, b) => a.job_id - b.job_id);
    return this.#sorted;
  }

  get(id: JobId): Job | undefined {
    this.#refresh();
    return this.#jobs.get(id);
  }

  #refresh(): void {
    if (this.#changed.size === 0) return;
    for (const id of this.#changed) {
      const job = store.findJob(this.#db, id);
      if (job === undefined || job.terminal) this.#jobs.delete(id);
      else this.#jobs.set(id, job);
    }
    this.#sorted = undefined;
    // A transaction may still be rolled back; its rows must then be read again.
    if (!this.#db.inTransaction) this.#changed.clear();
  }
}
