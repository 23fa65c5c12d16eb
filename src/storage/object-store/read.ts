import type { Readable } from 'node:stream';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { AppError } from '../../errors.js';
import { changed } from './errors.js';
import type { Retry } from './retry.js';

export interface ReadSteps {
  /** What is read, for errors: `s3://bucket/key`. */
  what: string;
  size: number;
  etag: string;
  /** Opens the object from this byte on, if it still has that ETag. */
  open: (offset: number) => Promise<GetObjectCommandOutput>;
  /** Turns a failure into an error of ours, or throws it. */
  explain: (error: unknown) => AppError;
  retry: Retry;
}

/** As `If-Match` wants it; some services leave the quotes out of a listing. */
export function entityTag(given: string): string {
  return `"${given.replace(/^W\/|"/g, '')}"`;
}

/**
 * Reads an object from the first byte to the last, each byte once, over as many connections as it takes.
 * @throws AppError conflict when the object is no longer the one that was looked at; others as `explain` says.
 */
export async function* readResuming(steps: ReadSteps): AsyncGenerator<Buffer> {
  const reader = new ResumingReader(steps);
  try {
    // No yield inside a try that retries: an error of the consumer is not the storage's.
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
      throw new AppError('storage_unavailable', `${this.#steps.what}: broken off half-way`);
    if (next.value.length > this.left) throw new AppError('conflict', changed(this.#steps.what));
    return next.value;
  }

  async #connect(): Promise<AsyncIterator<Buffer, undefined>> {
    const reply = await this.#steps.open(this.#offset);
    this.#body = reply.Body as Readable;
    // Some S3 services ignore If-Match, and a proxy may ignore Range: what came is compared as well.
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
    // The rest of this body is not wanted; its error, if it has one, was seen through the iterator.
    this.#body?.on('error', () => {});
    this.#body?.destroy();
    this.#body = undefined;
    this.#chunks = undefined;
  }
}
