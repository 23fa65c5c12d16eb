import { AppError } from '../errors.js';

/** Tracks work that a stop must end and wait for. */
export class WorkInFlight {
  readonly #live = new Map<AbortController, Promise<unknown>>();
  #closed = false;

  /**
   * Runs `work` with a signal that fires on `signal` or on `close`.
   * @throws AppError shutting_down once closed; any error of `work`
   */
  async run<T>(
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (this.#closed) throw shuttingDown();
    signal?.throwIfAborted();
    const either = new AbortController();
    const abort = () => either.abort(signal?.reason);
    signal?.addEventListener('abort', abort);
    const running = work(either.signal);
    this.#live.set(either, running);
    try {
      return await running;
    } finally {
      this.#live.delete(either);
      signal?.removeEventListener('abort', abort);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const running = [...this.#live.values()];
    for (const controller of this.#live.keys()) controller.abort(shuttingDown());
    await Promise.allSettled(running);
  }
}

function shuttingDown(): AppError {
  return new AppError('shutting_down', 'the service is stopping; try again in a minute');
}
