import type { Database } from '../db/database.js';
import * as claims from './claims.js';
import type { Claim, IngestItem } from './source.js';

/**
 * A claim’s row and its item. Every change goes through this handle, so all readers see the state
 * of the database.
 */
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

  /** Name of the item for its users. */
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

  /** Reloads the row; call this when a rolled-back transaction may have undone a change. */
  reread(): void {
    this.#row = claims.getClaim(this.#db, this.#row.claim_id);
  }

  drop(): void {
    claims.dropClaim(this.#db, this.#row.claim_id);
  }
}
