import type { Readable } from 'node:stream';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { AppError } from '../../errors.js';
import { changed } from './errors.js';
import type { Retry } from './retry.js';

export interface ReadSteps {
  /** Name of the object in errors: `s3://bucket/key`. */
  what: string;
  size: number;
  etag: string;
  /** Opens the object from this byte on, if its ETag is unchanged. */
  open: (offset: number) => Promise<GetObjectCommandOutput>;
  /** Turns a failure into an error of ours, or throws it. */
  explain: (error: unknown) => AppError;
  retry: Retry;
}

/** Quotes an ETag as `If-Match` requires; some services list it without quotes. */
export function entityTag(given: string): string {
  return `"${given.replace(/^W\/|"/g, '')}"`;
}

/**
 * Reads an object from first to last byte, each once, over as many connections as needed.
 * @throws AppError conflict when the object has changed; others as `explain` decides
 */
export async function* readResuming(steps: ReadSteps): AsyncGenerator<Buffer> {
  const reader = new ResumingReader(steps);
  try {
    // Keep yield outside the retrying try: an error of the consumer is not the storage's.
    while (reader.left > 0) yield await reader.next();
  } finally {
    reader.close();
  }
}

class ResumingReader {
  readonly #steps: ReadSteps;

  #body: Readable | undefined;
  #chunks: AsyncIterator<Buffer, undefined> | undefined;
  #offset = 0;

  constructor(steps: ReadSteps) {
    this.#steps = steps;
  }

  get left(): number {
    return this.#steps.size - this.#offset;
  }

  async next(): Promise<Buffer> {
    for (;;) {
      try {
        const chunk = await this.#read();
        this.#offset += chunk.length;
        this.#steps.retry.progressed();
        return chunk;
      } catch (error) {
        this.close();
        await this.#steps.retry.after(this.#steps.explain(error));
      }
    }
  }

  async #read(): Promise<Buffer> {
    this.#chunks ??= await this.#connect();
    const next = await this.#chunks.next();
    if (next.done)
      throw new AppError('storage_unavailable', `${this.#steps.what}: the transfer broke off`);
    if (next.value.length > this.left) throw new AppError('conflict', changed(this.#steps.what));
    return next.value;
  }

  async #connect(): Promise<AsyncIterator<Buffer, undefined>> {
    const reply = await this.#steps.open(this.#offset);
    this.#body = reply.Body as Readable;
    // Some S3 services ignore If-Match, and a proxy may ignore Range, so compare the reply as well.
    const { size, etag, what } = this.#steps;
    const start = /^bytes (\d+)-/.exec(reply.ContentRange ?? 'bytes 0-')?.[1];
    if (
      reply.ContentLength !== size - this.#offset ||
      Number(start) !== this.#offset ||
      entityTag(reply.ETag ?? '') !== etag
    )
      throw new AppError('conflict', changed(what));
    return this.#body[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  }

  close(): void {
    // The rest of this body is not needed, and the iterator has already reported its error.
    this.#body?.on('error', () => {});
    this.#body?.destroy();
    this.#body = undefined;
    this.#chunks = undefined;
  }
}
