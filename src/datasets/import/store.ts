import type { Database } from '../../db/database.js';

/**
 * A row of `dataset_imports`; times are milliseconds. Bytes are written at the start and the end.
 */
export interface ImportRow {
  id: number;
  user: string;
  uri: string;
  state: 'RUNNING' | 'COMPLETED' | 'FAILED';
  bytes_done: number;
  bytes_total: number | null;
  sha256: string | null;
  error_code: string | null;
  error: string | null;
  created_at: number;
  ended_at: number | null;
}

/** The end of an import. */
export type ImportEnd = Pick<
  ImportRow,
  'state' | 'bytes_done' | 'bytes_total' | 'sha256' | 'error_code' | 'error'
>;

export function insertImport(db: Database, user: string, uri: string, now: number): number {
  const { lastInsertRowid } = db
    .prepare(
      "INSERT INTO dataset_imports (user, uri, state, created_at) VALUES (?, ?, 'RUNNING', ?)",
    )
    .run(user, uri, now);
  return Number(lastInsertRowid);
}

export function endImport(db: Database, id: number, end: ImportEnd, now: number): void {
  db.prepare(
    `UPDATE dataset_imports
     SET state = @state, bytes_done = @bytes_done, bytes_total = @bytes_total, sha256 = @sha256,
         error_code = @error_code, error = @error, ended_at = @now
     WHERE id = @id`,
  ).run({ ...end, id, now });
}

/** Fails the imports that an earlier process left running; returns their number. */
export function failRunningImports(
  db: Database,
  failure: { code: string; message: string },
  now: number,
): number {
  return db
    .prepare(
      `UPDATE dataset_imports SET state = 'FAILED', error_code = ?, error = ?, ended_at = ?
       WHERE state = 'RUNNING'`,
    )
    .run(failure.code, failure.message, now).changes;
}

export function selectImport(db: Database, id: number): ImportRow | undefined {
  return db.prepare<[number], ImportRow>('SELECT * FROM dataset_imports WHERE id = ?').get(id);
}

/** Lists imports, newest first. */
export function selectImports(
  db: Database,
  { user, limit, before }: { user: string | undefined; limit: number; before: number | undefined },
): ImportRow[] {
  return db
    .prepare<[Record<string, unknown>], ImportRow>(
      `SELECT * FROM dataset_imports
       WHERE (@user IS NULL OR user = @user) AND (@before IS NULL OR id < @before)
       ORDER BY id DESC LIMIT @limit`,
    )
    .all({ user: user ?? null, limit, before: before ?? null });
}
