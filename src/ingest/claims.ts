import { randomBytes } from 'node:crypto';
import type { Database } from '../db/database.js';
import type { JobId } from '../jobs/job.js';

/**
 * States of a claim. `claiming`: recorded here, possibly also at the source. `claimed`: ours, not
 * yet a job. `submitted`: a job. `ended`: its outcome is still to be reported.
 * The final states: `done`; `failed`: it could not become a job, and that was reported; `lost`:
 * another server has it now.
 */
export type ClaimState =
  'claiming' | 'claimed' | 'submitted' | 'ended' | 'done' | 'failed' | 'lost';

/** Times are milliseconds since 1970. */
export interface ClaimRow {
  claim_id: number;
  source: string;
  item: string;
  nonce: string;
  worker: string;
  state: ClaimState;
  job_id: JobId | null;
  lease_until: number;
  /** The item as JSON. */
  data: string;
  /** The reason why no job came of it. */
  error: string | null;
  /** Whether the source cancelled it. */
  cancelled: boolean;
  created_at: number;
  updated_at: number;
}

const live = `state IN ('claiming', 'claimed', 'submitted', 'ended')`;

type Stored = Omit<ClaimRow, 'cancelled'> & { cancelled: number };

const toRow = (stored: Stored): ClaimRow => ({ ...stored, cancelled: stored.cancelled === 1 });

/**
 * Records, under a new nonce, that an item is about to be claimed.
 * @throws SqliteError when it is claimed already
 */
export function beginClaim(
  db: Database,
  claim: Pick<ClaimRow, 'source' | 'item' | 'worker' | 'lease_until' | 'data'>,
  now: number,
): ClaimRow {
  const { lastInsertRowid } = db
    .prepare(
      `INSERT INTO ingest_claims (source, item, nonce, worker, state, lease_until, data, created_at, updated_at)
       VALUES (@source, @item, @nonce, @worker, 'claiming', @lease_until, @data, @now, @now)`,
    )
    .run({ ...claim, nonce: randomBytes(16).toString('hex'), now });
  return getClaim(db, Number(lastInsertRowid));
}

/** @throws Error when the claim does not exist */
export function getClaim(db: Database, id: number): ClaimRow {
  const stored = db
    .prepare<[number], Stored>('SELECT * FROM ingest_claims WHERE claim_id = ?')
    .get(id);
  if (stored === undefined) throw new Error(`there is no claim ${id}`);
  return toRow(stored);
}

export function updateClaim(
  db: Database,
  id: number,
  change: Partial<Pick<ClaimRow, 'state' | 'job_id' | 'lease_until' | 'error' | 'cancelled'>>,
  now: number,
): void {
  const { cancelled, ...rest } = change;
  const values = { ...rest, ...(cancelled !== undefined && { cancelled: Number(cancelled) }) };
  const assignments = Object.keys(values).map((name) => `${name} = @${name}, `);
  db.prepare(
    `UPDATE ingest_claims SET ${assignments.join('')}updated_at = @now WHERE claim_id = @id`,
  ).run({ ...values, now, id });
}

/** Deletes a claim that another server won. */
export function dropClaim(db: Database, id: number): void {
  db.prepare('DELETE FROM ingest_claims WHERE claim_id = ?').run(id);
}

/** Lists unfinished claims, oldest first. */
export function liveClaims(db: Database, source: string): ClaimRow[] {
  return db
    .prepare<[string], Stored>(
      `SELECT * FROM ingest_claims WHERE source = ? AND ${live} ORDER BY claim_id`,
    )
    .all(source)
    .map(toRow);
}

export function findLiveClaim(db: Database, source: string, item: string): ClaimRow | undefined {
  const stored = db
    .prepare<[string, string], Stored>(
      `SELECT * FROM ingest_claims WHERE source = ? AND item = ? AND ${live}`,
    )
    .get(source, item);
  return stored && toRow(stored);
}

export function countClaims(db: Database, source: string): Record<ClaimState, number> {
  const counts: Record<ClaimState, number> = {
    claiming: 0,
    claimed: 0,
    submitted: 0,
    ended: 0,
    done: 0,
    failed: 0,
    lost: 0,
  };
  const rows = db
    .prepare<[string], { state: ClaimState; count: number }>(
      'SELECT state, count(*) AS count FROM ingest_claims WHERE source = ? GROUP BY state',
    )
    .all(source);
  for (const { state, count } of rows) counts[state] = count;
  return counts;
}

/** Counts the claims that use up `max_jobs`. */
export function countBusy(db: Database, source: string): number {
  const { claiming, claimed, submitted } = countClaims(db, source);
  return claiming + claimed + submitted;
}

export function forgetFinished(db: Database, source: string, before: number): void {
  db.prepare(`DELETE FROM ingest_claims WHERE source = ? AND NOT (${live}) AND updated_at < ?`).run(
    source,
    before,
  );
}

export interface Pause {
  by: string;
  at: number;
}

export function pauseOf(db: Database, source: string): Pause | undefined {
  const row = db
    .prepare<[string], { paused_by: string | null; paused_at: number | null }>(
      'SELECT paused_by, paused_at FROM ingest_pauses WHERE source = ?',
    )
    .get(source);
  const at = row?.paused_at ?? undefined;
  return at === undefined ? undefined : { by: row?.paused_by ?? '', at };
}

export function setPause(db: Database, source: string, pause: Pause | undefined): void {
  db.prepare(
    'INSERT OR REPLACE INTO ingest_pauses (source, paused_by, paused_at) VALUES (?, ?, ?)',
  ).run(source, pause?.by ?? null, pause?.at ?? null);
}

/**
 * Returns eight hexadecimal digits that identify this server for as long as its database exists.
 */
export function serverSuffix(db: Database): string {
  const stored = db.prepare<[], { suffix: string }>('SELECT suffix FROM ingest_server').get();
  if (stored) return stored.suffix;
  const suffix = randomBytes(4).toString('hex');
  db.prepare('INSERT INTO ingest_server (suffix) VALUES (?)').run(suffix);
  return suffix;
}
