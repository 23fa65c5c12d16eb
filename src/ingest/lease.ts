import { setTimeout as delay } from 'node:timers/promises';
import { KeyLock } from '../key-lock.js';
import type { ClaimHandle } from './claim-handle.js';
import { persist } from './persist.js';
import type { IngestItem, IngestSource, Progress } from './source.js';

/** A lease is put off when half of it is over: each time is a commit where people work. */
const renewAfter = 1 / 2;

export interface LeaseParts<Item extends IngestItem> {
  source: IngestSource<Item>;
  handle: ClaimHandle<Item>;
  leaseMs: number;
  now: () => number;
  /** How the job stands. */
  progress: () => Progress;
  /** Told when the item was called off out there. */
  onCancelled: () => void;
  failed: (error: unknown) => void;
  /** Fires when there is nothing left to keep; fired from here when the claim is lost. */
  over: AbortController;
}

/** Keeps a claim from running out, and tells whether it is still ours. What is written out there is written in turn. */
export class Lease<Item extends IngestItem> {
  readonly #parts: LeaseParts<Item>;
  #isUncertain: boolean;

  #isLost = false;
  #hasEnded = false;
  readonly #turns = new KeyLock<'write'>();

  /** @param isUncertain whether nothing is known of how the claim stands out there, as after a crash */
  constructor(parts: LeaseParts<Item>, isUncertain: boolean) {
    this.#parts = parts;
    this.#isUncertain = isUncertain;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** To be called when it is not known what came of a call: nothing is believed until it has been renewed. */
  markUncertain(): void {
    this.#isUncertain = true;
  }

  /** @throws when it is not known to be ours now */
  async ensureValid(): Promise<void> {
    const { handle, now, over } = this.#parts;
    if (this.#isUncertain || now() >= handle.row.lease_until) await this.#renew();
    over.signal.throwIfAborted();
  }

  /** Writes what ends the claim. @returns false when it is not ours any more */
  async end(write: () => Promise<'written' | 'lost'>): Promise<boolean> {
    return this.#turns.hold('write', async () => {
      this.#parts.over.signal.throwIfAborted();
      this.#isLost = (await write()) === 'lost';
      // A renewal that waits for its turn must not write over it.
      this.#hasEnded = true;
      return !this.#isLost;
    });
  }

  /** Renews it whenever that is due, until it is over. */
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

  /** When it is to be put off, in milliseconds since 1970. */
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
