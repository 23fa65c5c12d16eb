import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw, inflateRawSync } from 'node:zlib';
import type { Entry } from 'yauzl';
import { errnoOf } from '../../errors.js';
import type { Report } from './messages.js';
import { refusal } from './refusal.js';
import type { TreeWriter } from './tree-writer.js';
import { ZipDirectory, unixMode, zipEntryName } from './zip-directory.js';

const STORED = 0;
const DEFLATED = 8;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
const MAX_LINK_BYTES = 4096;
/**
 * Up to these sizes an entry is inflated in one piece, which saves most of the time for thousands
 * of small files.
 */
const PIECE_PACKED_BYTES = 256 * 2 ** 10;
const PIECE_BYTES = 4 * 2 ** 20;
const YIELD_EVERY = 64;

/**
 * Unpacks a zip by its directory, and checks the size and CRC of each content. Throws
 * `archive_refused`.
 */
export async function readZip(
  archivePath: string,
  tree: TreeWriter,
  report: Report,
): Promise<void> {
  const fd = openSync(archivePath, 'r');
  try {
    const directory = await ZipDirectory.open(fd);
    const content = new ZipContent(archivePath, fd, directory);
    let count = 0;
    for await (const entry of directory.entries()) {
      await addEntry(entry, content, tree);
      report(tree.files, tree.bytes);
      // Lets the loss of the parent process be noticed.
      if (++count % YIELD_EVERY === 0) await new Promise(setImmediate);
    }
  } finally {
    closeSync(fd);
  }
}

async function addEntry(entry: Entry, content: ZipContent, tree: TreeWriter): Promise<void> {
  const name = zipEntryName(entry);
  if ((entry.generalPurposeBitFlag & 0x2041) !== 0)
    throw refusal('is encrypted; pack it without a password', name);
  const mode = unixMode(entry);
  const mtime = entry.getLastModDate().getTime() / 1000;
  const type = mode & S_IFMT;
  if (type === S_IFLNK) {
    if (entry.uncompressedSize > MAX_LINK_BYTES)
      throw refusal('is a link whose target is too long', name);
    const target: Buffer[] = [];
    await content.read(entry, name, (chunk) => target.push(chunk));
    return tree.addLink(name, Buffer.concat(target).toString('latin1'), mtime);
  }
  if (name.endsWith('/') || type === S_IFDIR) {
    if (entry.uncompressedSize > 0) throw refusal('is a folder with content', name);
    await content.read(entry, name, () => undefined);
    return tree.addFolder(name, mtime);
  }
  if (type !== 0 && type !== S_IFREG)
    throw refusal(
      'is a device, pipe or socket; only files, folders and links can be unpacked',
      name,
    );
  const executable = (mode & 0o111) !== 0;
  tree.beginFile(name, { size: entry.uncompressedSize, executable, mtime });
  await content.read(entry, name, (chunk) => {
    tree.write(chunk, 0, chunk.length);
  });
  tree.endFile();
}

class ZipContent {
  readonly #archivePath: string;
  readonly #fd: number;
  readonly #directory: ZipDirectory;

  constructor(archivePath: string, fd: number, directory: ZipDirectory) {
    this.#archivePath = archivePath;
    this.#fd = fd;
    this.#directory = directory;
  }

  /**
   * Passes on an entry's content in chunks. Throws `archive_refused` unless size, CRC and packed
   * size all fit.
   */
  async read(entry: Entry, name: string, onChunk: (chunk: Buffer) => void): Promise<void> {
    const { compressionMethod: method, compressedSize, uncompressedSize } = entry;
    if (method !== STORED && method !== DEFLATED)
      throw refusal(`is compressed with method ${method}; pack it with deflate`, name);
    const start = await this.#directory.contentOf(entry, name);
    let size = 0;
    let sum = 0;
    const take = (chunk: Buffer) => {
      size += chunk.length;
      if (size > uncompressedSize) throw refusal('is larger than its header says', name);
      sum = crc32(chunk, sum);
      onChunk(chunk);
    };
    let used: number;
    try {
      used =
        compressedSize <= PIECE_PACKED_BYTES && uncompressedSize <= PIECE_BYTES
          ? this.#inOnePiece(start, entry, take)
          : await this.#streamed(start, entry, take);
    } catch (error) {
      const code = errnoOf(error) ?? '';
      if (code === 'ERR_BUFFER_TOO_LARGE')
        throw refusal('is larger than its header says', name, error);
      if (!code.startsWith('Z_')) throw error;
      throw refusal(`cannot be decompressed: the zip is corrupt (${code})`, name, error);
    }
    if (size !== uncompressedSize || used !== compressedSize)
      throw refusal('differs in size from its header', name);
    if (sum !== entry.crc32) throw refusal('does not match its checksum: the zip is corrupt', name);
  }

  /** Both return the number of packed bytes that the content took. */
  #inOnePiece(start: number, entry: Entry, take: (chunk: Buffer) => void): number {
    const packed = Buffer.alloc(entry.compressedSize);
    let read = 0;
    for (let count = -1; count !== 0 && read < packed.length; read += count)
      count = readSync(this.#fd, packed, read, packed.length - read, start + read);
    if (entry.compressionMethod === STORED) {
      take(packed);
      return read;
    }
    // With `info`, the result includes the engine, which the types omit.
    const { buffer, engine } = inflateRawSync(packed, {
      info: true,
      maxOutputLength: entry.uncompressedSize + 1,
    }) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
    take(buffer);
    return engine.bytesWritten;
  }

  async #streamed(start: number, entry: Entry, take: (chunk: Buffer) => void): Promise<number> {
    // `end` is inclusive, so an empty range cannot be expressed.
    const source = createReadStream(this.#archivePath, {
      start,
      end: start + Math.max(1, entry.compressedSize) - 1,
      highWaterMark: PIECE_PACKED_BYTES,
    });
    const inflate = createInflateRaw({ chunkSize: PIECE_PACKED_BYTES });
    const stored = new PassThrough();
    const decoder = entry.compressionMethod === STORED ? stored : inflate;
    let refused: unknown;
    await pipeline(source, decoder, async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks)
        try {
          take(chunk);
        } catch (error) {
          refused = error;
          throw error;
        }
    }).catch((error: unknown) => {
      // The pipeline may only report that it was broken off, without the reason.
      throw refused ?? error;
    });
    return decoder === inflate ? inflate.bytesWritten : source.bytesRead;
  }
}
