import { setTimeout as delay } from 'node:timers/promises';

/** Waits `ms` milliseconds, or until `signal` fires. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/**
 * Waits `ms` milliseconds, runs `work`, and repeats this until `signal` fires.
 * @param onError receives each failure, which does not end the loop; its own throw does
 * @returns a promise that resolves after the last round
 */
export async function every(
  ms: number,
  signal: AbortSignal,
  work: () => Promise<void>,
  onError: (error: unknown) => void,
): Promise<void> {
  for (;;) {
    await sleep(ms, signal);
    if (signal.aborted) return;
    try {
      await work();
    } catch (error) {
      if (!signal.aborted) onError(error);
    }
  }
}

/** Periodic work of one object, from its start to its end. */
export class Loops {
  readonly #closing = new AbortController();
  readonly #running: Promise<void>[] = [];

  /** Repeats `work` until {@link close}; see {@link every}. */
  start(ms: number, work: () => Promise<void>, onError: (error: unknown) => void): void {
    this.#running.push(every(ms, this.#closing.signal, work, onError));
  }

  /** Resolves after the last rounds. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#running);
  }
}
