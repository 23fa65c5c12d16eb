import type { Logger } from 'pino';
import type { Database } from '../db/database.js';

/** Digests kept of each user, so that nobody can push out those of others. */
const maxOfUser = 200;

interface Row {
  digest: Buffer;
  user: string;
}

export interface KnownSendersParts {
  db: Database;
  log: Logger;
  now: () => number;
}

/**
 * Remembers which senders used which valid tokens, as digests of both. The list outlives a restart;
 * otherwise wrong tokens right after it would block everybody at the same address.
 */
export class KnownSenders {
  readonly #parts: KnownSendersParts;
  /** The users of the digests, by the digest in hexadecimal. */
  readonly #users = new Map<string, string>();

  constructor(parts: KnownSendersParts) {
    this.#parts = parts;
    const rows = parts.db.prepare<[], Row>('SELECT digest, user FROM known_senders ORDER BY since');
    for (const { digest, user } of rows.all()) this.#users.set(digest.toString('hex'), user);
  }

  has(digest: string): boolean {
    return this.#users.has(digest);
  }

  add(digest: string, user: string): void {
    if (this.#users.has(digest)) return;
    const ofUser = [...this.#users].filter(([, other]) => other === user);
    if (ofUser.length >= maxOfUser) this.remove(ofUser[0]?.[0] ?? '');
    this.#users.set(digest, user);
    this.#write('INSERT OR IGNORE INTO known_senders (digest, user, since) VALUES (?, ?, ?)', [
      Buffer.from(digest, 'hex'),
      user,
      this.#parts.now(),
    ]);
  }

  remove(digest: string): void {
    if (this.#users.delete(digest))
      this.#write('DELETE FROM known_senders WHERE digest = ?', [Buffer.from(digest, 'hex')]);
  }

  #write(sql: string, values: unknown[]): void {
    try {
      this.#parts.db.prepare(sql).run(...values);
    } catch (error) {
      // A full disk must not lock out those who could make room on it.
      this.#parts.log.warn({ err: error }, 'the list of known senders was not saved');
    }
  }
}
