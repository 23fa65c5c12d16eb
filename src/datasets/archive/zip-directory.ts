import { isUtf8 } from 'node:buffer';
import { fstatSync, readSync } from 'node:fs';
import {
  type Entry,
  RandomAccessReader,
  type ZipFile,
  fromRandomAccessReaderPromise,
  getFileNameLowLevel,
} from 'yauzl';
import { refusal } from './refusal.js';

const WINDOW_BYTES = 256 * 2 ** 10;
const END_RECORDS = [0x06054b50, 0x06064b50];
const UNICODE_PATH = 0x7075;
const HOST_FAT = 0;
const HOSTS_WITH_UNIX_MODES = [3, 19];

/** Serves yauzl's many small reads from one window, without a stream for each. */
class WindowReader extends RandomAccessReader {
  readonly #fd: number;

  readonly #window = Buffer.alloc(WINDOW_BYTES);
  #start = 0;
  #length = 0;

  constructor(fd: number) {
    super();
    this.#fd = fd;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    const target = buffer.subarray(offset, offset + length);
    callback(this.#fill(target, position) ? null : new Error('unexpected end of file'));
  }

  #fill(target: Buffer, position: number): boolean {
    if (target.length > WINDOW_BYTES)
      return readSync(this.#fd, target, 0, target.length, position) === target.length;
    if (position < this.#start || position + target.length > this.#start + this.#length) {
      this.#start = position;
      this.#length = readSync(this.#fd, this.#window, 0, WINDOW_BYTES, position);
    }
    const from = position - this.#start;
    return (
      this.#window.copy(target, 0, from, Math.min(from + target.length, this.#length)) ===
      target.length
    );
  }
}

/** A zip's directory, read twice: first for the position of each entry, then entry by entry. */
export class ZipDirectory {
  readonly #reader: WindowReader;
  readonly #size: number;
  readonly #zip: ZipFile;
  readonly #start: number;
  /** Positions of the entries' local headers, in order. */
  readonly #offsets: Float64Array;

  private constructor(
    reader: WindowReader,
    size: number,
    zip: ZipFile,
    start: number,

    offsets: Float64Array,
  ) {
    this.#reader = reader;
    this.#size = size;
    this.#zip = zip;
    this.#start = start;
    this.#offsets = offsets;
  }

  /**
   * Opens a zip. Throws `archive_refused` when it is cut off, or has hidden or overlapping entries.
   */
  static async open(fd: number): Promise<ZipDirectory> {
    const reader = new WindowReader(fd);
    const { size } = fstatSync(fd);
    const zip = await openZip(reader, size);
    const start = cursorOf(zip);
    const offsets: number[] = [];
    for await (const entry of entriesOf(zip)) offsets.push(entry.relativeOffsetOfLocalHeader);
    const end = Buffer.alloc(4);
    reader.read(end, 0, 4, cursorOf(zip), (error) => {
      if (error !== null || !END_RECORDS.includes(end.readUInt32LE(0)))
        throw refusal('the zip has another number of entries than its directory says');
    });
    return new ZipDirectory(reader, size, zip, start, Float64Array.from(offsets).sort());
  }

  async *entries(): AsyncGenerator<Entry> {
    yield* entriesOf(await openZip(this.#reader, this.#size));
  }

  /**
   * Finds the start of an entry's content in the file. Throws `archive_refused` if its two headers
   * disagree. Also throws if it shares bytes with another entry or the directory, as in bombs that
   * count one content many times.
   */
  async contentOf(entry: Entry, name: string): Promise<number> {
    const local = await this.#zip.readLocalFileHeaderPromise(entry).catch((error: unknown) => {
      throw refusal(`cannot be read (${String(error)})`, name, error);
    });
    if (
      !local.fileName.equals(entry.fileNameRaw) ||
      local.compressionMethod !== entry.compressionMethod ||
      (local.generalPurposeBitFlag & 1) !== (entry.generalPurposeBitFlag & 1)
    )
      throw refusal('has two different headers', name);
    const sizesFollow = (local.generalPurposeBitFlag & 8) !== 0;
    const isZip64 = local.compressedSize === 0xffffffff || local.uncompressedSize === 0xffffffff;
    if (
      !sizesFollow &&
      !isZip64 &&
      (local.compressedSize !== entry.compressedSize ||
        local.uncompressedSize !== entry.uncompressedSize ||
        local.crc32 !== entry.crc32)
    )
      throw refusal('has two headers with different sizes or checksums', name);
    if (local.fileDataStart + entry.compressedSize > this.#next(entry.relativeOffsetOfLocalHeader))
      throw refusal('overlaps another entry, like a zip bomb', name);
    return local.fileDataStart;
  }

  /**
   * Finds the start of the part after the entry at `offset`; `offset` itself if two entries start
   * there.
   */
  #next(offset: number): number {
    let [low, high] = [0, this.#offsets.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#offsets[middle] as number) < offset) low = middle + 1;
      else high = middle;
    }
    return Math.min(this.#offsets[low + 1] ?? this.#start, this.#start);
  }
}

async function openZip(reader: WindowReader, size: number): Promise<ZipFile> {
  try {
    const options = { decodeStrings: false, autoClose: false };
    return await fromRandomAccessReaderPromise(reader, size, options);
  } catch (error) {
    throw refusal(`the zip is corrupt or truncated (${String(error)})`, undefined, error);
  }
}

async function* entriesOf(zip: ZipFile): AsyncGenerator<Entry> {
  const entries = zip.eachEntry();
  for (;;) {
    const next = await entries.next().catch((error: unknown) => {
      throw refusal(`the zip's directory is corrupt (${String(error)})`, undefined, error);
    });
    if (next.done === true) return;
    yield next.value;
  }
}

/** Returns the offset of the next directory record; the types wrongly say boolean. */
function cursorOf(zip: ZipFile): number {
  return zip.readEntryCursor as unknown as number;
}

/**
 * Returns an entry's raw name: UTF-8 if the entry says so or the name looks like it; otherwise
 * DOS's code page 437. Old Windows programs separate folders by backslashes.
 */
export function zipEntryName(entry: Entry): string {
  const { generalPurposeBitFlag: flags, fileNameRaw, extraFields } = entry;
  const hasUnicodePath = extraFields.some(({ id }) => id === UNICODE_PATH);
  const isBytes = !hasUnicodePath && ((flags & 0x800) !== 0 || isUtf8(fileNameRaw));
  const name = isBytes
    ? fileNameRaw.toString('latin1')
    : Buffer.from(getFileNameLowLevel(flags, fileNameRaw, extraFields, true)).toString('latin1');
  if (entry.versionMadeBy >>> 8 !== HOST_FAT || name.includes('/')) return name;
  return name.replaceAll('\\', '/');
}

/** Returns the Unix mode that an entry was packed with; 0 without one. */
export function unixMode(entry: Entry): number {
  return HOSTS_WITH_UNIX_MODES.includes(entry.versionMadeBy >>> 8)
    ? entry.externalFileAttributes >>> 16
    : 0;
}
