import type { Database } from '../db/database.js';
import * as claims from './claims.js';
import type { Claim, IngestItem } from './source.js';

/** A claim's row, with the item that it is for. Whoever changes it does so here, so that all see it as the database has it. */
export class ClaimHandle<Item extends IngestItem> {
  readonly #db: Database;
  readonly #now: () => number;

  #row: claims.ClaimRow;

  constructor(
    db: Database,
    now: () => number,
    readonly item: Item,
    row: claims.ClaimRow,
  ) {
    this.#db = db;
    this.#now = now;

    this.#row = row;
  }

  get row(): claims.ClaimRow {
    return this.#row;
  }

  /** As its people call the item. */
  get title(): string {
    return this.item.title ?? this.item.key;
  }

  get asClaim(): Claim {
    const { worker, nonce, lease_until: leaseUntil } = this.#row;
    return { worker, nonce, leaseUntil };
  }

  put(change: Parameters<typeof claims.updateClaim>[2]): void {
    claims.updateClaim(this.#db, this.#row.claim_id, change, this.#now());
    this.#row = claims.getClaim(this.#db, this.#row.claim_id);
  }

  /** To be called when a change may have been taken back with the transaction it was made in. */
  reread(): void {
    this.#row = claims.getClaim(this.#db, this.#row.claim_id);
  }

  drop(): void {
    claims.dropClaim(this.#db, this.#row.claim_id);
  }
}
