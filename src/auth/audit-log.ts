import type { Database } from '../db/database.js';
import type { Caller } from './caller.js';

/** A request, as the audit log keeps it. */
export interface AuditEntry {
  /** Milliseconds since 1970. */
  at: number;
  caller: Caller | undefined;
  address: string;
  method: string;
  path: string;
  /** The HTTP status of the reply. */
  status: number;
  /** The thing that the request made or changed, such as "job 12". */
  subject: string | null;
}

/**
 * Rows kept of each share; the newest stay. Each user has shares of their own: for admin calls, for
 * other calls, and for refused calls. So nobody can push out the traces of others, and a user who
 * is refused often keeps their other traces.
 */
const maxRows = { admin: 200_000, did: 50_000, refused: 5000, strangers: 20_000 } as const;
type Kind = keyof typeof maxRows;

/** New rows of a share after which the log counts it and removes the oldest. */
const pruneEvery = 500;
/** Time within which a repeated request only raises the count of its existing row. */
const sameForMs = 10 * 60_000;
/** Newest rows of a share that are searched for such a row. */
const searchedRows = 20;

/** Writes the audit log. */
export class AuditLog {
  /** Rows added to each share since it was last pruned. */
  readonly #added = new Map<string, number>();
  readonly #max: Record<Kind, number>;
  readonly #again;
  readonly #insert;
  readonly #prune;

  /** @param max row limits that differ from the default ones */
  constructor(db: Database, max: Partial<Record<Kind, number>> = {}) {
    this.#max = { ...maxRows, ...max };
    this.#again = db.prepare(
      `UPDATE audit SET times = times + 1, last_at = @at WHERE audit_id = (
         SELECT audit_id FROM (SELECT * FROM audit WHERE share = @share ORDER BY audit_id DESC LIMIT ${searchedRows})
         WHERE at > @at - ${sameForMs} AND user IS @user AND token_id IS @token_id AND address = @address
           AND method = @method AND path = @path AND status = @status AND subject IS @subject
         ORDER BY audit_id DESC LIMIT 1)`,
    );
    this.#insert = db.prepare(
      `INSERT INTO audit (at, user, token_id, address, method, path, status, subject, share)
       VALUES (@at, @user, @token_id, @address, @method, @path, @status, @subject, @share)`,
    );
    this.#prune = db.prepare(
      `DELETE FROM audit WHERE share = @share AND audit_id <= (
         SELECT audit_id FROM audit WHERE share = @share ORDER BY audit_id DESC LIMIT 1 OFFSET @max)`,
    );
  }

  /** Adds a request to the log. @throws Error of SQLite, such as a full disk's */
  write({ caller, ...entry }: AuditEntry): void {
    const kind = kindOf(caller, entry.status);
    const share = caller === undefined ? kind : `${kind}:${caller.user}`;
    const row = { ...entry, user: caller?.user ?? null, token_id: caller?.tokenId ?? null, share };
    if (this.#again.run(row).changes > 0) return;
    this.#insert.run(row);
    // Prune on the first row: rows that earlier processes added are not counted.
    const added = (this.#added.get(share) ?? pruneEvery - 1) + 1;
    this.#added.set(share, added % pruneEvery);
    if (added >= pruneEvery) this.#prune.run({ share, max: this.#max[kind] });
  }
}

function kindOf(caller: Caller | undefined, status: number): Kind {
  if (caller === undefined) return 'strangers';
  if (status >= 400) return 'refused';
  return caller.role === 'admin' ? 'admin' : 'did';
}
