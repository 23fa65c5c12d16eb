import type { Database } from '../db/database.js';
import * as claims from './claims.js';

/** Which ways in are paused; kept in the database, so that a restart changes nothing about it. */
export class Pauses {
  readonly #db: Database;
  readonly #now: () => number;

  constructor(db: Database, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  of(route: string): claims.Pause | undefined {
    return claims.pauseOf(this.#db, route);
  }

  /** One that is paused stays as it was. */
  pause(route: string, by: string): void {
    if (!this.of(route)) claims.setPause(this.#db, route, { by, at: this.#now() });
  }

  resume(route: string): void {
    claims.setPause(this.#db, route, undefined);
  }
}
