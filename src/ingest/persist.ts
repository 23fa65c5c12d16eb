import { setTimeout as delay } from 'node:timers/promises';

const firstMs = 1000;
const maxMs = 60_000;

/**
 * Repeats `work` until it succeeds: after 1 s at first, then after twice as long each time, at most
 * a minute.
 * @param failed receives each failure
 * @throws only once `signal` has fired
 */
export async function persist<T>(
  work: () => Promise<T> | T,
  failed: (error: unknown) => void,
  signal: AbortSignal,
): Promise<T> {
  for (let waitMs = firstMs; ; waitMs = Math.min(maxMs, waitMs * 2)) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      failed(error);
    }
    await delay(waitMs, undefined, { signal });
  }
}
