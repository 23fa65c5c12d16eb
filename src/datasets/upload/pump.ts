import type { Readable } from 'node:stream';
import { AppError } from '../../errors.js';

/**
 * Feeds `body` to `take`, which returns a promise when it wants no more for now. Unlike `stream.pipeline` it leaves the
 * body alone when something fails: a request that is destroyed cannot be answered any more.
 * @throws AppError bad_request when the body ends early; the body's own error; what `take` throws; the signal's reason.
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
      // A body that fails while nobody listens would end the process.
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

/** The failure was reported already. */
function ignore(): void {}
