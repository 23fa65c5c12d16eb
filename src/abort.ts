/**
 * Aborts `controller` as soon as `source` aborts, with the same reason. Replaces `AbortSignal.any`
 * and `AbortSignal.timeout`: Node may garbage-collect those before they fire, and their listeners
 * would wait forever (github.com/nodejs/node/issues/57736).
 * @returns a function that removes the link; otherwise a long-lived source would keep its followers
 *   alive
 */
export function abortWith(controller: AbortController, source: AbortSignal): () => void {
  const abort = () => controller.abort(source.reason);
  if (source.aborted) abort();
  else source.addEventListener('abort', abort, { once: true });
  return () => source.removeEventListener('abort', abort);
}

/**
 * Waits for the work until the signal aborts.
 * @returns whether the work was done in time
 * @throws the work's error, if it came in time
 */
export async function settlesBefore(signal: AbortSignal, work: Promise<unknown>): Promise<boolean> {
  let stop = () => {};
  const aborted = new Promise<false>((resolve) => {
    stop = () => resolve(false);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work.then(() => true), aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
