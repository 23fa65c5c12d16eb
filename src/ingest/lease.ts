import { setTimeout as delay } from 'node:timers/promises';
import { KeyLock } from '../key-lock.js';
import type { ClaimHandle } from './claim-handle.js';
import { persist } from './persist.js';
import type { IngestItem, IngestSource, Progress } from './source.js';

/** A lease is renewed after half its time: each renewal is a commit where people work. */
const renewAfter = 1 / 2;

export interface LeaseParts<Item extends IngestItem> {
  source: IngestSource<Item>;
  handle: ClaimHandle<Item>;
  leaseMs: number;
  now: () => number;
  /** Reports the state of the job. */
  progress: () => Progress;
  /** Called when the source has cancelled the item. */
  onCancelled: () => void;
  failed: (error: unknown) => void;
  /** Fires when the claim is over. The lease fires it when the claim is lost. */
  over: AbortController;
}

/**
 * Renews a claim in time and knows whether it is still ours. Writes to the source follow one
 * another.
 */
export class Lease<Item extends IngestItem> {
  readonly #parts: LeaseParts<Item>;
  #isUncertain: boolean;

  #isLost = false;
  #hasEnded = false;
  readonly #turns = new KeyLock<'write'>();

  /** @param isUncertain whether the claim’s state at the source is unknown, as after a crash */
  constructor(parts: LeaseParts<Item>, isUncertain: boolean) {
    this.#parts = parts;
    this.#isUncertain = isUncertain;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /**
   * Call this when a request’s outcome is unknown; the lease stays unverified until the next
   * renewal.
   */
  markUncertain(): void {
    this.#isUncertain = true;
  }

  /** @throws when the claim is not certainly ours */
  async ensureValid(): Promise<void> {
    const { handle, now, over } = this.#parts;
    if (this.#isUncertain || now() >= handle.row.lease_until) await this.#renew();
    over.signal.throwIfAborted();
  }

  /**
   * Writes the end of the claim.
   * @returns false when the claim is no longer ours
   */
  async end(write: () => Promise<'written' | 'lost'>): Promise<boolean> {
    return this.#turns.hold('write', async () => {
      this.#parts.over.signal.throwIfAborted();
      this.#isLost = (await write()) === 'lost';
      // A renewal that waits for its turn must not overwrite the end.
      this.#hasEnded = true;
      return !this.#isLost;
    });
  }

  /** Renews the claim whenever that is due, until the claim is over. */
  async keep(): Promise<void> {
    const { now, failed } = this.#parts;
    const { signal } = this.#parts.over;
    try {
      for (;;) {
        await delay(Math.max(0, this.#due - now()), undefined, { signal });
        await persist(() => this.#renew(), failed, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Time of the next renewal, in milliseconds since 1970. */
  get #due(): number {
    const { handle, leaseMs } = this.#parts;
    return this.#isUncertain ? 0 : handle.row.lease_until - leaseMs * (1 - renewAfter);
  }

  async #renew(): Promise<void> {
    const { source, handle, leaseMs, now, progress, onCancelled, over } = this.#parts;
    await this.#turns.hold('write', async () => {
      over.signal.throwIfAborted();
      if (this.#hasEnded || now() < this.#due) return;
      const leaseUntil = now() + leaseMs;
      const claim = { ...handle.asClaim, leaseUntil };
      const result = await source.renew(handle.item, claim, progress(), over.signal);
      if (result === 'lost') {
        this.#isLost = true;
        over.abort();
        return;
      }
      this.#isUncertain = false;
      handle.put({ lease_until: leaseUntil });
      if (result === 'cancelled') onCancelled();
    });
  }
}
