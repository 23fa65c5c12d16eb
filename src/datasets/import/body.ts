import { Readable } from 'node:stream';

/**
 * Chunks as a stream that nobody has to drain: destroying it ends the request behind the chunks at once, where
 * `Readable.from` would wait for the chunk that it asked for last.
 */
export class ImportBody extends Readable {
  /** Why the chunks ended early, if they did. */
  failure: unknown;

  constructor(
    private readonly chunks: AsyncGenerator<Buffer>,
    /** Aborts what `chunks` waits for. */
    private readonly stop: AbortController,
  ) {
    super({ highWaterMark: 1024 * 1024 });
    // An error without a listener would end the process; this one is kept in `failure`.
    this.on('error', () => undefined);
  }

  override _read(): void {
    this.chunks.next().then(
      ({ done, value }) => this.push(done ? null : value),
      (error: unknown) => {
        if (this.destroyed) return;
        this.failure = error;
        this.destroy(error as Error);
      },
    );
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.stop.abort();
    this.chunks.return(undefined).then(
      () => callback(error),
      (ending: Error) => callback(error ?? ending),
    );
  }
}
