import { setMaxListeners } from 'node:events';
import { abortWith } from '../../abort.js';
import { AppError } from '../../errors.js';
import type { ObjectStore } from '../../storage/object-store/object-store.js';
import { listTree, Surveyor, type TreeEntry, type TreeSurvey } from './listing.js';
import { tarEnd, tarHeader, tarPadding } from './tar.js';
import { formatLocation, type ImportLocation } from './uri.js';

/** Largest object that is fetched ahead: requests for small ones take longer than their bytes. */
const smallBytes = 256 * 1024;
const fetchedAhead = 16;

type Fetched = { bytes: Buffer } | { error: unknown };

interface Ready {
  entry: TreeEntry;
  small: Promise<Fetched> | undefined;
}

/**
 * Streams the objects under a prefix as one tar, in the order of their keys: the same objects
 * always give the same bytes. Holds a few small objects in memory, never a large one.
 * @param survey of the same prefix
 * @param onBytes receives each object's bytes once, as they pass
 * @throws AppError conflict if the prefix has changed since the survey
 */
export async function* tarOfTree(
  store: ObjectStore,
  location: ImportLocation,
  survey: TreeSurvey,
  onBytes: (count: number) => void,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const surveyor = new Surveyor();
  for await (const { entry, small } of fetchAhead(store, location, signal)) {
    const { object, path, kind } = entry;
    surveyor.add(entry);
    const header = tarHeader(path, kind, object.size, object.modified);
    if (small) {
      const fetched = await small;
      if ('error' in fetched) throw fetched.error;
      onBytes(object.size);
      yield Buffer.concat([header, fetched.bytes, tarPadding(object.size)]);
      continue;
    }
    yield header;
    for await (const chunk of store.read(location.bucket, object, signal)) {
      onBytes(chunk.length);
      yield chunk;
    }
    const padding = tarPadding(object.size);
    if (padding.length > 0) yield padding;
  }
  if (surveyor.result().fingerprint !== survey.fingerprint)
    throw new AppError(
      'conflict',
      `${formatLocation(location)}: objects changed during the import; start it again`,
    );
  yield tarEnd;
}

async function* fetchAhead(
  store: ObjectStore,
  location: ImportLocation,
  signal: AbortSignal,
): AsyncGenerator<Ready> {
  const givenUp = new AbortController();
  abortWith(givenUp, signal);
  // Every request under way listens; Node warns of a leak from ten listeners on.
  setMaxListeners(2 * fetchedAhead, givenUp.signal);
  const ahead: Ready[] = [];
  try {
    for await (const entry of listTree(store, location, givenUp.signal)) {
      ahead.push({ entry, small: fetchSmall(store, location.bucket, entry, givenUp.signal) });
      if (ahead.length < fetchedAhead) continue;
      const next = ahead.shift();
      if (next) yield next;
    }
    for (let next = ahead.shift(); next; next = ahead.shift()) yield next;
  } finally {
    givenUp.abort();
    for (const { small } of ahead) await small;
  }
}

function fetchSmall(
  store: ObjectStore,
  bucket: string,
  { object }: TreeEntry,
  signal: AbortSignal,
): Promise<Fetched> | undefined {
  if (object.size > smallBytes) return undefined;
  // An error is kept as a value: a rejection that nobody awaits yet would end the process.
  return readWhole(store.read(bucket, object, signal)).then(
    (bytes) => ({ bytes }),
    (error: unknown) => ({ error }),
  );
}

async function readWhole(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const read: Buffer[] = [];
  for await (const chunk of chunks) read.push(chunk);
  return Buffer.concat(read);
}
