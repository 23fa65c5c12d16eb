import type { Response } from 'express';
import { abortWith } from '../abort.js';

/**
 * Lifts the server's time limit: a long reply may send nothing for minutes, like a dead connection.
 */
export function noTimeout(res: Response): void {
  res.setTimeout(0);
}

/**
 * Aborts when the reply is no longer needed: the caller left, the service stops, or `timeoutMs`
 * have passed.
 */
export function abortWhenDone(
  res: Response,
  stopping: AbortSignal,
  timeoutMs?: number,
): AbortSignal {
  const waiting = new AbortController();
  const unfollow = abortWith(waiting, stopping);
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => waiting.abort(), timeoutMs);
  res.once('close', () => {
    clearTimeout(timer);
    unfollow();
    waiting.abort();
  });
  // The `close` of a caller that left earlier does not come again.
  if (timeoutMs === 0 || res.destroyed) waiting.abort();
  return waiting.signal;
}
