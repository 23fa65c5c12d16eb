import type { Database } from '../db/database.js';
import * as claims from './claims.js';

/** Pauses of ingest sources, kept in the database so that they survive a restart. */
export class Pauses {
  readonly #db: Database;
  readonly #now: () => number;

  constructor(db: Database, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  of(source: string): claims.Pause | undefined {
    return claims.pauseOf(this.#db, source);
  }

  /** Pauses a source; an earlier pause stays unchanged. */
  pause(source: string, by: string): void {
    if (!this.of(source)) claims.setPause(this.#db, source, { by, at: this.#now() });
  }

  resume(source: string): void {
    claims.setPause(this.#db, source, undefined);
  }
}
