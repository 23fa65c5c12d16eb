import type { Database } from '../db/database.js';
import type { Caller } from './caller.js';

/** What a request was, as the audit log keeps it. */
export interface AuditEntry {
  /** Milliseconds since 1970. */
  at: number;
  caller: Caller | undefined;
  address: string;
  method: string;
  path: string;
  /** The HTTP status of the reply. */
  status: number;
  /** What was made or changed, such as "job 12". */
  subject: string | null;
}

/**
 * So many rows are kept of each share, the newest. Every user's are apart, what they did from what they were refused, and what an admin did
 * from both: nobody pushes out the traces of others, and who sends much of what costs nothing not their own either.
 */
const mostRows = { admin: 200_000, did: 50_000, refused: 5000, strangers: 20_000 } as const;
type Kind = keyof typeof mostRows;

/** Rows of a share are counted, and the oldest removed, after so many new ones. */
const prunedEvery = 500;
/** What is done again within this time is counted in the row that is there, */
const sameForMs = 10 * 60_000;
/** if that is among the newest so many of its share. */
const looksBack = 20;

/** Writes the audit log. */
export class AuditLog {
  /** By share: rows added since the last look at their number. */
  readonly #added = new Map<string, number>();
  readonly #most: Record<Kind, number>;
  readonly #again;
  readonly #insert;
  readonly #prune;

  /** @param most other numbers of rows to keep */
  constructor(db: Database, most: Partial<Record<Kind, number>> = {}) {
    this.#most = { ...mostRows, ...most };
    this.#again = db.prepare(
      `UPDATE audit SET times = times + 1, last_at = @at WHERE audit_id = (
         SELECT audit_id FROM (SELECT * FROM audit WHERE share = @share ORDER BY audit_id DESC LIMIT ${looksBack})
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
         SELECT audit_id FROM audit WHERE share = @share ORDER BY audit_id DESC LIMIT 1 OFFSET @most)`,
    );
  }

  /** @throws Error of SQLite, such as a full disk's. */
  write({ caller, ...entry }: AuditEntry): void {
    const kind = kindOf(caller, entry.status);
    const share = caller === undefined ? kind : `${kind}:${caller.user}`;
    const row = { ...entry, user: caller?.user ?? null, token_id: caller?.tokenId ?? null, share };
    if (this.#again.run(row).changes > 0) return;
    this.#insert.run(row);
    // At first at once: what was added before this process began is not known.
    const added = (this.#added.get(share) ?? prunedEvery - 1) + 1;
    this.#added.set(share, added % prunedEvery);
    if (added >= prunedEvery) this.#prune.run({ share, most: this.#most[kind] });
  }
}

function kindOf(caller: Caller | undefined, status: number): Kind {
  if (caller === undefined) return 'strangers';
  if (status >= 400) return 'refused';
  return caller.role === 'admin' ? 'admin' : 'did';
}
