import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Logger } from 'pino';
import type { Database } from '../db/database.js';
import { AppError, fieldError } from '../errors.js';
import { OWNER, type Caller, type Role } from './caller.js';
import type { TokenView } from './replies.js';
import * as store from './token-store.js';
import { isoTime } from '../iso-time.js';

const dayMs = 24 * 60 * 60 * 1000;
/** Time of last use is accurate to the minute: a write for each request would cost too much. */
const usedEveryMs = 60_000;

export interface TokensParts {
  db: Database;
  /** The owner's token (`JR_AUTH_TOKEN`). */
  authToken: string;
  log: Logger;
  now: () => number;
}

export interface TokenWish {
  user: string;
  role: Role;
  /** A token that the caller chose; without it, the service makes one. */
  token?: string | undefined;
  /** Days until it expires; 0 means never. */
  days: number;
  createdBy: string;
}

/**
 * Keeps the tokens and their users. The database holds a salted, fast hash of each token. A fast
 * hash is enough: nobody can guess the 192 bits of a generated token. A reader of the hashes could
 * also read all that the tokens protect.
 */
export class Tokens {
  readonly #parts: TokensParts;

  readonly #ownDigest: Buffer;

  constructor(parts: TokensParts) {
    this.#parts = parts;

    this.#ownDigest = digestOf(parts.authToken);
  }

  /**
   * Creates a token and returns it; it is never shown again. @throws AppError conflict when the
   * token exists already
   */
  create(wish: TokenWish): { token: string; view: TokenView } {
    const { db, now } = this.#parts;
    const token = wish.token ?? `jr_${randomBytes(24).toString('base64url')}`;
    // Two users with the same token would be indistinguishable.
    if (this.holderOf(token) !== undefined)
      throw fieldError('conflict', 'token', 'this one is in use already; choose another');
    const salt = randomBytes(16);
    const at = now();
    const id = store.insertToken(db, {
      user: wish.user,
      role: wish.role,
      salt,
      hash: hashOf(token, salt),
      created_at: at,
      created_by: wish.createdBy,
      expires_at: wish.days === 0 ? null : at + wish.days * dayMs,
    });
    return { token, view: this.get(id) };
  }

  list(): TokenView[] {
    return store.listTokens(this.#parts.db).map((row) => this.#view(row));
  }

  /** Finds a token by its number. @throws AppError not_found */
  get(id: number): TokenView {
    const row = store.findToken(this.#parts.db, id);
    if (row === undefined)
      throw new AppError('not_found', `there is no token ${id}; see "jobrunner token list"`);
    return this.#view(row);
  }

  /**
   * Revokes a token from the next request on; also ends logs that are being followed. @throws
   * AppError not_found, or conflict when it was revoked before
   */
  revoke(id: number): TokenView {
    if (this.get(id).revoked_at !== null)
      throw new AppError('conflict', `token ${id}: was revoked already`);
    store.markRevoked(this.#parts.db, id, this.#parts.now());
    return this.get(id);
  }

  /**
   * Deletes all tokens of a user, from the next request on; also ends logs that are being followed.
   * @returns their number
   */
  deleteOf(user: string): number {
    return store.deleteTokensOf(this.#parts.db, user);
  }

  /**
   * Returns the user of a token, or undefined for a wrong one. Takes equally long for each wrong
   * one.
   */
  holderOf(token: string): Caller | undefined {
    const { db, now } = this.#parts;
    const at = now();
    // Digests have one length, as timingSafeEqual requires, and reveal nothing of the token's
    // length.
    let found: Caller | undefined = timingSafeEqual(digestOf(token), this.#ownDigest)
      ? { user: OWNER, role: 'admin', tokenId: null }
      : undefined;
    for (const row of store.validTokens(db, at)) {
      if (!timingSafeEqual(hashOf(token, row.salt), row.hash)) continue;
      found ??= { user: row.user, role: row.role, tokenId: row.token_id };
      if (at - (row.last_used_at ?? 0) > usedEveryMs) this.#markUsed(row.token_id, at);
    }
    return found;
  }

  /** Tells whether the caller's token is neither revoked nor expired by now. */
  stillHolds({ tokenId }: Caller): boolean {
    if (tokenId === null) return true;
    const row = store.findToken(this.#parts.db, tokenId);
    return row !== undefined && this.#stateOf(row) === 'valid';
  }

  #stateOf(row: store.TokenRow): TokenView['state'] {
    if (row.revoked_at !== null) return 'revoked';
    const isExpired = row.expires_at !== null && row.expires_at <= this.#parts.now();
    return isExpired ? 'expired' : 'valid';
  }

  #markUsed(id: number, at: number): void {
    try {
      store.markUsed(this.#parts.db, id, at);
    } catch (error) {
      // A full disk must not lock out those who could make room on it.
      this.#parts.log.warn({ err: error, token_id: id }, 'the time of a token’s use was not saved');
    }
  }

  #view(row: store.TokenRow): TokenView {
    const { token_id, user, role, created_by } = row;
    return {
      token_id,
      user,
      role,
      state: this.#stateOf(row),
      created_at: isoTime(row.created_at),
      created_by,
      expires_at: row.expires_at === null ? null : isoTime(row.expires_at),
      revoked_at: row.revoked_at === null ? null : isoTime(row.revoked_at),
      last_used_at: row.last_used_at === null ? null : isoTime(row.last_used_at),
    };
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function hashOf(token: string, salt: Buffer): Buffer {
  return createHmac('sha256', salt).update(token).digest();
}
