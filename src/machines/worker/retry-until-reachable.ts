import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { LinkError } from './controller-link.js';

const firstMs = 500;
const maxMs = 10_000;

/**
 * Repeats the work while the controller is unreachable.
 * @param forMs limit of that time
 */
export async function retryUntilReachable<T>(
  work: () => Promise<T>,
  log: Logger,
  signal: AbortSignal,
  forMs = Infinity,
): Promise<T> {
  const deadline = Date.now() + forMs;
  for (let waitMs = firstMs; ; waitMs = Math.min(maxMs, waitMs * 2)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof LinkError) || signal.aborted || Date.now() > deadline) throw error;
      log.warn({ err: error }, 'the controller is unreachable; trying again');
      await delay(waitMs, undefined, { signal });
    }
  }
}
