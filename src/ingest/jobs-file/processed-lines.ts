import { createHash, randomUUID } from 'node:crypto';
import type { Database } from '../../db/database.js';
import type { JobId } from '../../jobs/job.js';

/** A line by its text's SHA-256, and by its place among the equal ones, from 1: one written twice is two. */
export interface LineId {
  digest: string;
  nth: number;
}

interface Row extends LineId {
  key: string;
  job_id: number | null;
  gone_at: number | null;
}

export function digestOfLine(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * Which lines of the jobs file were made jobs, kept in the database. A line is written down before its job is submitted,
 * under the idempotency key that it is submitted with: one that a crash cut short is submitted under the same key again.
 */
export class ProcessedLines {
  readonly #db: Database;
  readonly #path: string;
  readonly #now: () => number;

  readonly #rows = new Map<string, Row>();

  constructor(db: Database, path: string, now: () => number) {
    this.#db = db;
    this.#path = path;
    this.#now = now;

    const rows = db
      .prepare<[string], Row>(
        'SELECT digest, nth, key, job_id, gone_at FROM jobs_file_lines WHERE path = ?',
      )
      .all(path);
    for (const row of rows) this.#rows.set(nameOf(row), row);
  }

  isProcessed(line: LineId): boolean {
    return typeof this.#rows.get(nameOf(line))?.job_id === 'number';
  }

  /** The jobs that lines in the file, or just gone from it, became. */
  get jobIds(): JobId[] {
    return [...this.#rows.values()].flatMap(({ job_id: id }) => (id === null ? [] : [id as JobId]));
  }

  /** Writes down that the line is about to become a job. @returns the key to submit it under. */
  begin(line: LineId): string {
    const known = this.#rows.get(nameOf(line));
    if (known) return known.key;
    const row = { ...line, key: `jobs-file:${randomUUID()}`, job_id: null, gone_at: null };
    this.#db
      .prepare('INSERT INTO jobs_file_lines (path, digest, nth, key) VALUES (?, ?, ?, ?)')
      .run(this.#path, row.digest, row.nth, row.key);
    this.#rows.set(nameOf(line), row);
    return row.key;
  }

  finish(line: LineId, jobId: JobId): void {
    this.#change(line, { job_id: jobId });
  }

  /** No job came of it: it may be tried again. */
  abandon(line: LineId): void {
    this.#db
      .prepare('DELETE FROM jobs_file_lines WHERE path = ? AND digest = ? AND nth = ?')
      .run(this.#path, line.digest, line.nth);
    this.#rows.delete(nameOf(line));
  }

  /** True while lines are remembered that are no longer in the file. */
  get hasGone(): boolean {
    return [...this.#rows.values()].some((row) => row.gone_at !== null);
  }

  /**
   * Forgets what has been out of the file for that long, in milliseconds. Not at once: many editors write a file by emptying
   * it first, and what is seen half-way must not run again.
   * @param counts how often each digest stands in the file
   */
  sweep(counts: ReadonlyMap<string, number>, forgetAfterMs: number): void {
    const now = this.#now();
    this.#db.transaction(() => {
      for (const row of [...this.#rows.values()]) {
        const isThere = row.nth <= (counts.get(row.digest) ?? 0);
        if (isThere && row.gone_at !== null) this.#change(row, { gone_at: null });
        else if (!isThere && row.gone_at === null) this.#change(row, { gone_at: now });
        else if (!isThere && (row.gone_at ?? now) + forgetAfterMs <= now) this.abandon(row);
      }
    })();
  }

  #change(line: LineId, change: Partial<Pick<Row, 'job_id' | 'gone_at'>>): void {
    const row = this.#rows.get(nameOf(line));
    if (row === undefined) throw new Error('the line was not begun');
    Object.assign(row, change);
    this.#db
      .prepare(
        'UPDATE jobs_file_lines SET job_id = ?, gone_at = ? WHERE path = ? AND digest = ? AND nth = ?',
      )
      .run(row.job_id, row.gone_at, this.#path, row.digest, row.nth);
  }
}

function nameOf({ digest, nth }: LineId): string {
  return `${digest} ${nth}`;
}
