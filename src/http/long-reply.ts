import type { Response } from 'express';
import { abortWith } from '../abort.js';

/** A reply that is waited for sends nothing for minutes, which the server would take for a dead connection. */
export function noTimeout(res: Response): void {
  res.setTimeout(0);
}

/**
 * Fires when nobody waits for the reply any more: the caller is gone, the service is stopping, or `timeoutMs` have passed.
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
  if (timeoutMs === 0) waiting.abort();
  return waiting.signal;
}
