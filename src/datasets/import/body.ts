import { Readable } from 'node:stream';

/**
 * Streams chunks without having to be drained: destroying it ends the request behind the chunks at
 * once. `Readable.from` would wait for the last chunk that it asked for.
 */
export class ImportBody extends Readable {
  readonly #chunks: AsyncGenerator<Buffer>;
  /** Aborts the request that `chunks` waits for. */
  readonly #stop: AbortController;

  /** The reason why the chunks ended early, if they did. */
  failure: unknown;

  constructor(
    chunks: AsyncGenerator<Buffer>,

    stop: AbortController,
  ) {
    super({ highWaterMark: 1024 * 1024 });
    this.#chunks = chunks;
    this.#stop = stop;

    // An error without a listener would end the process; this one is kept in `failure`.
    this.on('error', () => undefined);
  }

  override _read(): void {
    this.#chunks.next().then(
      ({ done, value }) => this.push(done ? null : value),
      (error: unknown) => {
        if (this.destroyed) return;
        this.failure = error;
        this.destroy(error as Error);
      },
    );
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#stop.abort();
    this.#chunks.return(undefined).then(
      () => callback(error),
      (ending: Error) => callback(error ?? ending),
    );
  }
}
