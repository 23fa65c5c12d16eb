import type { Database } from '../db/database.js';
import type { Role } from './caller.js';

/** A token as the database keeps it. Times are milliseconds since 1970. */
export interface TokenRow {
  token_id: number;
  user: string;
  role: Role;
  salt: Buffer;
  hash: Buffer;
  created_at: number;
  created_by: string;
  /** Null for a token that does not expire. */
  expires_at: number | null;
  revoked_at: number | null;
  last_used_at: number | null;
}

export type NewToken = Omit<TokenRow, 'token_id' | 'revoked_at' | 'last_used_at'>;

export function insertToken(db: Database, token: NewToken): number {
  const { lastInsertRowid } = db
    .prepare(
      `INSERT INTO tokens (user, role, salt, hash, created_at, created_by, expires_at)
       VALUES (@user, @role, @salt, @hash, @created_at, @created_by, @expires_at)`,
    )
    .run(token);
  return Number(lastInsertRowid);
}

/** Lists all tokens, oldest first. */
export function listTokens(db: Database): TokenRow[] {
  return db.prepare<[], TokenRow>('SELECT * FROM tokens ORDER BY token_id').all();
}

export function findToken(db: Database, id: number): TokenRow | undefined {
  return db.prepare<[number], TokenRow>('SELECT * FROM tokens WHERE token_id = ?').get(id);
}

/** Lists the tokens that are neither revoked nor expired. */
export function validTokens(db: Database, now: number): TokenRow[] {
  return db
    .prepare<[number], TokenRow>(
      'SELECT * FROM tokens WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)',
    )
    .all(now);
}

export function markRevoked(db: Database, id: number, at: number): void {
  db.prepare('UPDATE tokens SET revoked_at = ? WHERE token_id = ?').run(at, id);
}

/** Deletes all tokens of a user. @returns their number */
export function deleteTokensOf(db: Database, user: string): number {
  return db.prepare('DELETE FROM tokens WHERE user = ?').run(user).changes;
}

export function markUsed(db: Database, id: number, at: number): void {
  db.prepare('UPDATE tokens SET last_used_at = ? WHERE token_id = ?').run(at, id);
}
