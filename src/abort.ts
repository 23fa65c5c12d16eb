/**
 * Aborts `controller` as soon as `source` is, with its reason. Stands in for `AbortSignal.any` and `AbortSignal.timeout`,
 * which Node may garbage-collect before they fire: whoever waits for them then waits forever
 * (github.com/nodejs/node/issues/57736).
 * @returns a function that undoes it: a source that outlives its followers would else keep them.
 */
export function abortWith(controller: AbortController, source: AbortSignal): () => void {
  const abort = () => controller.abort(source.reason);
  if (source.aborted) abort();
  else source.addEventListener('abort', abort, { once: true });
  return () => source.removeEventListener('abort', abort);
}
