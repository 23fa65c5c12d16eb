import { setTimeout as delay } from 'node:timers/promises';
import type { AppError } from '../../errors.js';

/** How long to wait for the storage and how often to ask again. All times are milliseconds. */
export interface Patience {
  /** Failures in a row, without a byte between them, after which the transfer is given up. */
  attempts: number;
  firstDelayMs: number;
  longestDelayMs: number;
  connectMs: number;
  /** A connection that moves no byte for this long is dropped and opened anew. */
  stallMs: number;
}

/** Half a minute of trying in all: a storage that restarts is outlived, a dead one is reported soon. */
export const defaultPatience: Patience = {
  attempts: 8,
  firstDelayMs: 250,
  longestDelayMs: 8_000,
  connectMs: 10_000,
  stallMs: 30_000,
};

/** Counts failures in a row and waits longer after each. */
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
   * @throws the error itself when it is not a passing one, or when it was the last attempt.
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
