import type { Claim } from './source.js';

/**
 * Tells when another server's claim may be taken over: its lease has run out by our clock, and has since been seen unchanged for a
 * third of a lease more. Clocks differ; and where the source itself was out of reach for longer than a lease, whoever lives has
 * that long to renew.
 */
export class ExpiredLeases {
  /** By item, the claim last seen to have run out, since when, and when it was last asked for. */
  readonly #seen = new Map<string, { claim: string; since: number; asked: number }>();
  #sweptAt = 0;

  constructor(
    private readonly leaseMs: number,
    private readonly now: () => number,
  ) {}

  /** Of how many claims it remembers something. */
  get size(): number {
    return this.#seen.size;
  }

  /** To be asked at each scan, with the claim as it stands out there. */
  mayTakeOver(key: string, { nonce, leaseUntil }: Pick<Claim, 'nonce' | 'leaseUntil'>): boolean {
    const now = this.now();
    this.#sweep(now);
    if (now <= leaseUntil) {
      this.#seen.delete(key);
      return false;
    }
    const claim = `${nonce} ${leaseUntil}`;
    const seen = this.#seen.get(key);
    if (seen?.claim === claim) {
      seen.asked = now;
      return now - seen.since >= this.leaseMs / 3;
    }
    this.#seen.set(key, { claim, since: now, asked: now });
    return false;
  }

  /** Forgets what is out there no more: whoever writes the claims could else fill the memory with them. */
  #sweep(now: number): void {
    if (now - this.#sweptAt < this.leaseMs) return;
    this.#sweptAt = now;
    for (const [key, { asked }] of this.#seen)
      if (now - asked > 2 * this.leaseMs) this.#seen.delete(key);
  }
}
