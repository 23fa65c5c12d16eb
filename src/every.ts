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

/** Hears how each round of a loop ended; see repeated-error.ts. */
interface Outcomes {
  failed: (error: unknown) => void;
  succeeded: () => void;
}

/** Periodic work of one object, from its start to its end. */
export class Loops {
  readonly #closing = new AbortController();
  readonly #running: Promise<void>[] = [];

  /** Repeats `work` until {@link close}; see {@link every}. */
  start(ms: number, work: () => Promise<void>, heard: ((error: unknown) => void) | Outcomes): void {
    const { signal } = this.#closing;
    const running =
      typeof heard === 'function'
        ? every(ms, signal, work, heard)
        : every(ms, signal, () => work().then(heard.succeeded), heard.failed);
    this.#running.push(running);
  }

  /** Resolves after the last rounds. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#running);
  }
}
