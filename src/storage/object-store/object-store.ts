import type { Readable } from 'node:stream';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  S3Client,
  S3ServiceException,
  type ListObjectsV2CommandOutput,
} from '@aws-sdk/client-s3';
import { AppError } from '../../errors.js';
import { storageError, type Asked } from './errors.js';
import { entityTag, readResuming } from './read.js';
import { defaultPatience, Retry, type Patience } from './retry.js';

export interface ObjectStoreSettings {
  /** An http(s) URL. */
  endpoint: string;
  region: string;
  keyId: string;
  appKey: string;
}

/** An object as it was when listed or looked up; `size` is in bytes. */
export interface StoredObject {
  key: string;
  size: number;
  etag: string;
  modified: Date;
}

/**
 * Reads buckets of B2, S3 or any storage that speaks S3. Each call retries with growing pauses
 * while the storage is unavailable. It throws AppError `storage_not_found`, `storage_denied`,
 * `storage_unavailable` or `conflict` (a changed object). A call whose signal is aborted throws the
 * signal's reason.
 */
export class ObjectStore {
  readonly #settings: ObjectStoreSettings;
  readonly #patience: Patience;

  readonly #client: S3Client;

  constructor(settings: ObjectStoreSettings, patience: Patience = defaultPatience) {
    this.#settings = settings;
    this.#patience = patience;

    this.#client = new S3Client({
      endpoint: settings.endpoint,
      region: settings.region,
      credentials: { accessKeyId: settings.keyId, secretAccessKey: settings.appKey },
      // Only AWS gives each bucket a host name of its own.
      forcePathStyle: !/\.amazonaws\.com(\.cn)?$/.test(new URL(settings.endpoint).hostname),
      // B2 rejects the checksums that the SDK would add by default.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // Retries are counted in one place, for requests and bodies alike.
      maxAttempts: 1,
      requestHandler: {
        connectionTimeout: patience.connectMs,
        // `requestTimeout` would only warn; this one ends a stalled connection.
        socketTimeout: patience.stallMs,
      },
    });
  }

  /** Looks up the object's size, ETag and time. */
  async stat(bucket: string, key: string, signal: AbortSignal): Promise<StoredObject> {
    return this.#attempt({ bucket, key }, signal, async () => {
      const head = await this.#head(bucket, key, signal);
      if (head.ContentLength === undefined || head.ETag === undefined)
        throw new AppError('storage_unavailable', `s3://${bucket}/${key}: the reply has no size`);
      const modified = head.LastModified ?? new Date(0);
      return { key, size: head.ContentLength, etag: entityTag(head.ETag), modified };
    });
  }

  /**
   * Lists the objects whose key starts with `prefix`, in the service's order (S3: by the key's
   * UTF-8 bytes).
   */
  async *list(bucket: string, prefix: string, signal: AbortSignal): AsyncGenerator<StoredObject> {
    let token: string | undefined;
    do {
      const page = await this.#attempt({ bucket }, signal, () =>
        this.#client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: prefix,
            ContinuationToken: token,
            // XML cannot carry every character that a key may hold.
            EncodingType: 'url',
          }),
          { abortSignal: signal },
        ),
      );
      yield* objectsOf(page, bucket);
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  /** Reads the object's bytes from first to last, each once; see {@link readResuming}. */
  read(bucket: string, object: StoredObject, signal: AbortSignal): AsyncGenerator<Buffer> {
    return readResuming({
      what: `s3://${bucket}/${object.key}`,
      size: object.size,
      etag: object.etag,
      open: (offset) =>
        this.#client.send(
          new GetObjectCommand({
            Bucket: bucket,
            Key: object.key,
            Range: `bytes=${offset}-`,
            IfMatch: object.etag,
          }),
          { abortSignal: signal },
        ),
      explain: (error) => this.#explain(error, { bucket, key: object.key }, signal),
      retry: new Retry(this.#patience, signal),
    });
  }

  close(): void {
    this.#client.destroy();
  }

  /**
   * Looks up an object. A failed HEAD has no body with a reason, so a GET of one byte asks for it.
   */
  async #head(bucket: string, key: string, signal: AbortSignal) {
    const at = { Bucket: bucket, Key: key };
    try {
      return await this.#client.send(new HeadObjectCommand(at), { abortSignal: signal });
    } catch (error) {
      if (!(error instanceof S3ServiceException)) throw error;
      const get = new GetObjectCommand({ ...at, Range: 'bytes=0-0' });
      const reply = await this.#client.send(get, { abortSignal: signal });
      (reply.Body as Readable).destroy();
      throw error;
    }
  }

  async #attempt<T>(
    asked: { bucket: string; key?: string },
    signal: AbortSignal,
    ask: () => Promise<T>,
  ): Promise<T> {
    const retry = new Retry(this.#patience, signal);
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        await retry.after(this.#explain(error, asked, signal));
      }
    }
  }

  #explain(error: unknown, asked: Pick<Asked, 'bucket' | 'key'>, signal: AbortSignal): AppError {
    signal.throwIfAborted();
    const { endpoint, region } = this.#settings;
    const known = storageError(error, { ...asked, endpoint, region });
    if (known === undefined) throw error;
    return known;
  }
}

function* objectsOf(page: ListObjectsV2CommandOutput, bucket: string): Generator<StoredObject> {
  for (const { Key, Size, ETag, LastModified } of page.Contents ?? []) {
    if (Key === undefined || Size === undefined || ETag === undefined)
      throw new AppError('storage_unavailable', `${bucket}: the listing is incomplete`);
    const key = page.EncodingType === 'url' ? decodeKey(Key, bucket) : Key;
    yield { key, size: Size, etag: entityTag(ETag), modified: LastModified ?? new Date(0) };
  }
}

function decodeKey(encoded: string, bucket: string): string {
  try {
    return decodeURIComponent(encoded.replaceAll('+', ' '));
  } catch (error) {
    throw new AppError('unprocessable', `s3://${bucket}/${encoded}: the key is not UTF-8`, {
      cause: error,
    });
  }
}
