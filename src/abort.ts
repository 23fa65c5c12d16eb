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
