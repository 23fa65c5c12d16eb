import type { Claim } from './source.js';

/**
 * Tells when another server's claim may be taken over: its lease has run out by our clock, and has since been seen unchanged for a
 * third of a lease more. Clocks differ; and where the source itself was out of reach for longer than a lease, whoever lives has
 * that long to renew.
 */
export class ExpiredLeases {
  readonly #leaseMs: number;
  readonly #now: () => number;

  /** By item, the claim last seen to have run out, since when, and the scan that last asked for it. */
  readonly #seen = new Map<string, { claim: string; since: number; scan: number }>();
  #scan = 0;

  constructor(leaseMs: number, now: () => number) {
    this.#leaseMs = leaseMs;
    this.#now = now;
  }

  /** Of how many claims it remembers something. */
  get size(): number {
    return this.#seen.size;
  }

  /**
   * To be called as each scan begins, however rare they are: forgets what the two before it have not asked for. Whoever writes the claims
   * could else fill the memory with them.
   */
  beginScan(): void {
    for (const [key, { scan }] of this.#seen) if (scan < this.#scan - 1) this.#seen.delete(key);
    this.#scan += 1;
  }

  /** To be asked at each scan, with the claim as it stands out there. */
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
