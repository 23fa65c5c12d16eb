import { setTimeout as delay } from 'node:timers/promises';
import type { AppError } from '../../errors.js';

/** Limits for waiting and retries. All times are milliseconds. */
export interface Patience {
  /** Consecutive failures, without a byte between them, after which the transfer fails. */
  attempts: number;
  firstDelayMs: number;
  longestDelayMs: number;
  connectMs: number;
  /** Time after which a connection that moves no byte is replaced. */
  stallMs: number;
}

/**
 * Retries for half a minute in total: enough for a restart, and a dead storage is soon reported.
 */
export const defaultPatience: Patience = {
  attempts: 8,
  firstDelayMs: 250,
  longestDelayMs: 8_000,
  connectMs: 10_000,
  stallMs: 30_000,
};

/** Counts consecutive failures, and waits longer after each. */
export class Retry {
  readonly #patience: Patience;
  readonly #signal: AbortSignal;

  #failures = 0;

  constructor(patience: Patience, signal: AbortSignal) {
    this.#patience = patience;
    this.#signal = signal;
  }

  /**
   * Waits until the next attempt is due.
   * @throws the error itself when it is permanent, or after the last attempt
   */
  async after(error: AppError): Promise<void> {
    this.#failures += 1;
    if (error.code !== 'storage_unavailable' || this.#failures >= this.#patience.attempts)
      throw error;
    const { firstDelayMs, longestDelayMs } = this.#patience;
    const wait = Math.min(longestDelayMs, firstDelayMs * 2 ** (this.#failures - 1));
    await delay(wait, undefined, { signal: this.#signal });
  }

  progressed(): void {
    this.#failures = 0;
  }
}
