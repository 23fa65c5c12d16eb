import { createHash, randomUUID } from 'node:crypto';
import { relative } from 'node:path';
import type { Database } from '../../db/database.js';
import type { JobId } from '../../jobs/job.js';

/**
 * A line, identified by the SHA-256 of its text and its number among equal lines, from 1. Two equal
 * lines are two jobs.
 */
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
 * The processed lines of the jobs file, kept in the database. A line is recorded before its job is
 * submitted, with the idempotency key of the submission. After a crash it is submitted again under
 * the same key.
 */
export class ProcessedLines {
  readonly #db: Database;
  /**
   * The file's path; below `JR_ROOT` relative to it, so that a restored backup may lie elsewhere.
   */
  readonly #path: string;
  readonly #now: () => number;

  readonly #rows = new Map<string, Row>();

  /** @param root `JR_ROOT` */
  constructor(db: Database, path: string, root: string, now: () => number) {
    this.#db = db;
    this.#path = nameIn(root, path);
    this.#now = now;
    // Earlier versions stored absolute paths only.
    if (this.#path !== path)
      db.prepare('UPDATE OR IGNORE jobs_file_lines SET path = ? WHERE path = ?').run(
        this.#path,
        path,
      );

    const rows = db
      .prepare<[string], Row>(
        'SELECT digest, nth, key, job_id, gone_at FROM jobs_file_lines WHERE path = ?',
      )
      .all(this.#path);
    for (const row of rows) this.#rows.set(nameOf(row), row);
  }

  isProcessed(line: LineId): boolean {
    return typeof this.#rows.get(nameOf(line))?.job_id === 'number';
  }

  /** Jobs of the lines that are in the file, or were just removed. */
  get jobIds(): JobId[] {
    return [...this.#rows.values()].flatMap(({ job_id: id }) => (id === null ? [] : [id as JobId]));
  }

  /**
   * Records that the line is about to become a job.
   * @returns the key to submit it under
   */
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

  /** Forgets a line that became no job, so that it can be tried again. */
  abandon(line: LineId): void {
    this.#db
      .prepare('DELETE FROM jobs_file_lines WHERE path = ? AND digest = ? AND nth = ?')
      .run(this.#path, line.digest, line.nth);
    this.#rows.delete(nameOf(line));
  }

  /** Whether removed lines are still remembered. */
  get hasGone(): boolean {
    return [...this.#rows.values()].some((row) => row.gone_at !== null);
  }

  /**
   * Forgets lines that have been missing for `forgetAfterMs`. Waiting matters: many editors empty a
   * file before they write it, and its lines must not run again.
   * @param counts number of lines in the file, by digest
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
    if (row === undefined) throw new Error('the line has no record');
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

/** Names a file below `root` by its path there, and any other by its absolute path. */
function nameIn(root: string, path: string): string {
  const inside = relative(root, path);
  return /^\.\.(\/|$)/.test(inside) ? path : inside;
}
