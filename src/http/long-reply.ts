import type { Response } from 'express';

/** A reply that is waited for sends nothing for minutes, which the server would take for a dead connection. */
export function unhurried(res: Response): void {
  res.setTimeout(0);
}

/** Fires when nobody waits for the reply any more: the caller is gone, or the service is stopping. */
export function untilNobodyWaits(res: Response, stopping: AbortSignal): AbortSignal {
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  return AbortSignal.any([gone.signal, stopping]);
}
