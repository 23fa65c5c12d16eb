import type { Claim } from './source.js';

/**
 * Decides when another server's claim may be taken over. Our clock must be past its lease, and we
 * must then see it unchanged for another third of a lease. Clocks differ, and the source may have
 * been unreachable for longer than a lease. The extra third gives a live server time to renew.
 */
export class ExpiredLeases {
  readonly #leaseMs: number;
  readonly #now: () => number;

  /**
   * Expired claims by item: the claim, the time it was first seen expired, and the last scan that
   * asked for it.
   */
  readonly #seen = new Map<string, { claim: string; since: number; scan: number }>();
  #scan = 0;

  constructor(leaseMs: number, now: () => number) {
    this.#leaseMs = leaseMs;
    this.#now = now;
  }

  /** Number of remembered claims. */
  get size(): number {
    return this.#seen.size;
  }

  /**
   * Starts a scan. Forgets each claim that the last two scans did not ask for; otherwise the
   * writers of claims could fill the memory.
   */
  beginScan(): void {
    for (const [key, { scan }] of this.#seen) if (scan < this.#scan - 1) this.#seen.delete(key);
    this.#scan += 1;
  }

  /** Checks a claim as the source shows it. Call this at each scan. */
  mayTakeOver(key: string, { nonce, leaseUntil }: Pick<Claim, 'nonce' | 'leaseUntil'>): boolean {
    const now = this.#now();
    if (now <= leaseUntil) {
      this.#seen.delete(key);
      return false;
    }
    const claim = `${nonce} ${leaseUntil}`;
    const seen = this.#seen.get(key);
    if (seen?.claim === claim) {
      seen.scan = this.#scan;
      return now - seen.since >= this.#leaseMs / 3;
    }
    this.#seen.set(key, { claim, since: now, scan: this.#scan });
    return false;
  }
}
