import type { Readable } from 'node:stream';
import { AppError } from '../../errors.js';

/**
 * Feeds `body` to `take`, which returns a promise when it wants a pause. On failure this does not
 * destroy the body, as `stream.pipeline` would: a destroyed request can no longer be answered.
 * @throws AppError bad_request when the body ends early; the body's own error; any error of `take`;
 *   the signal's reason
 */
export function pump(
  body: Readable,
  take: (chunk: Buffer) => Promise<void> | undefined,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown) => {
      body.off('data', onData).off('end', onEnd).off('error', fail).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      if (error === undefined) {
        resolve();
        return;
      }
      body.pause();
      // An error event without a listener would end the process.
      body.on('error', ignore);
      reject(error instanceof Error ? error : new Error('the body failed', { cause: error }));
    };
    const fail = (error: unknown) => settle(error);
    const onEnd = () => settle();
    const onClose = () => settle(cutOff());
    const onAbort = () => settle(signal.reason);
    const onData = (chunk: Buffer) => {
      try {
        const wait = take(chunk);
        if (wait === undefined) return;
        body.pause();
        wait.then(() => body.resume(), fail);
      } catch (error) {
        fail(error);
      }
    };
    if (signal.aborted) return fail(signal.reason);
    if (body.errored) return fail(body.errored);
    if (body.destroyed) return fail(cutOff());
    body.on('end', onEnd).on('error', fail).on('close', onClose).on('data', onData);
    signal.addEventListener('abort', onAbort);
  });
}

function cutOff(): AppError {
  return new AppError('bad_request', 'the body was cut off before its end; send it again');
}

/** Ignores later errors: the first was reported already. */
function ignore(): void {}
