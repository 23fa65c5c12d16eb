import type { PaxRecord } from './pax.js';
import { refusal } from './refusal.js';
import {
  SparseMapReader,
  type SparseFile,
  checkSparse,
  oldGnuContinuation,
  oldGnuSparse,
  paxSparse,
} from './sparse.js';
import { type Entry, type ExtensionType, TarExtensions } from './tar-extensions.js';
import { BLOCK, type TarHeader, parseHeader } from './tar-header.js';
import type { TreeWriter } from './tree-writer.js';

const ZEROS = Buffer.alloc(BLOCK);

/**
 * The next part of the stream. Content and padding are counted in bytes; all else comes in blocks.
 */
type Phase =
  | { kind: 'header' }
  | { kind: 'extension'; type: ExtensionType; left: number; blocks: Buffer[] }
  | { kind: 'old-gnu-map'; entry: Entry; file: SparseFile }
  | { kind: 'sparse-map'; entry: Entry; realSize: number; reader: SparseMapReader }
  | { kind: 'second-zero-block' }
  | { kind: 'ended' };

const HEADER: Phase = { kind: 'header' };

/**
 * Reads a tar stream chunk by chunk and makes each entry as it comes. Formats: v7, ustar, GNU (long
 * names, old sparse files, base-256 numbers) and PAX (including GNU's three sparse formats). Throws
 * `archive_refused` on anything wrong or unknown.
 */
export class TarReader {
  readonly #tree: TreeWriter;

  #phase: Phase = HEADER;
  readonly #partial = Buffer.alloc(BLOCK);
  #partialLength = 0;
  /** Remaining content of the file being written, and its target when the file has holes. */
  #content = 0;
  #position = 0;
  #sparse: SparseFile | undefined;
  #segment = 0;
  #padding = 0;
  readonly #extensions = new TarExtensions();
  #last = '';

  constructor(tree: TreeWriter) {
    this.#tree = tree;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#content > 0) {
        const end = Math.min(chunk.length, at + this.#content);
        this.#writeContent(chunk, at, end);
        this.#content -= end - at;
        at = end;
        if (this.#content === 0) this.#tree.endFile();
      } else if (this.#padding > 0) {
        const skipped = Math.min(chunk.length - at, this.#padding);
        this.#padding -= skipped;
        at += skipped;
      } else if (this.#partialLength === 0 && chunk.length - at >= BLOCK) {
        this.#block(chunk, at);
        at += BLOCK;
      } else {
        const copied = chunk.copy(this.#partial, this.#partialLength, at);
        this.#partialLength += copied;
        at += copied;
        if (this.#partialLength === BLOCK) {
          this.#partialLength = 0;
          this.#block(this.#partial, 0);
        }
      }
    }
  }

  /** Ends the stream. Throws `archive_refused` unless the archive is complete. */
  end(): void {
    if (this.#phase.kind !== 'ended' || this.#partialLength > 0) {
      const rest = this.#partial.subarray(0, this.#partialLength);
      if (this.#phase.kind === 'ended' && rest.every((byte) => byte === 0)) return;
      throw refusal(
        this.#last === ''
          ? 'the tar is truncated'
          : 'is the last one read: the tar is truncated (it has no end marker)',
        this.#last === '' ? undefined : this.#last,
      );
    }
  }

  #block(buffer: Buffer, at: number): void {
    const phase = this.#phase;
    switch (phase.kind) {
      case 'header':
        if (buffer[at] === 0 && isZero(buffer, at)) this.#endMarker();
        else this.#header(parseHeader(buffer, at), buffer, at);
        return;
      case 'extension': {
        const length = Math.min(BLOCK, phase.left);
        phase.blocks.push(Buffer.from(buffer.subarray(at, at + length)));
        phase.left -= length;
        if (phase.left === 0) this.#extension(phase.type, Buffer.concat(phase.blocks));
        return;
      }
      case 'old-gnu-map':
        if (!oldGnuContinuation(buffer, at, phase.file.segments, phase.entry.name))
          this.#beginSparse(phase.entry, phase.file);
        return;
      case 'sparse-map':
        if (phase.entry.stored < BLOCK)
          throw refusal('has a sparse map without an end', phase.entry.name);
        phase.entry.stored -= BLOCK;
        if (phase.reader.push(buffer.subarray(at, at + BLOCK))) {
          const { realSize, reader } = phase;
          this.#beginSparse(phase.entry, { realSize, segments: reader.segments });
        }
        return;
      case 'second-zero-block':
        if (!isZero(buffer, at)) throw refusal('the tar has a single block of zeros inside');
        this.#phase = { kind: 'ended' };
        return;
      case 'ended':
        if (!isZero(buffer, at))
          throw refusal('the tar continues after its end marker; pack everything into one tar');
        return;
    }
  }

  #endMarker(): void {
    if (this.#extensions.isPending)
      throw refusal('the tar ends after a header that describes a next entry');
    this.#phase = { kind: 'second-zero-block' };
  }

  #header(header: TarHeader, buffer: Buffer, at: number): void {
    switch (header.type) {
      case 'x':
      case 'g':
      case 'L':
      case 'K':
        this.#extensions.ensureNotTooLarge(header, header.type);
        this.#last = header.name;
        if (header.size === 0) this.#extension(header.type, Buffer.alloc(0));
        else this.#phase = { kind: 'extension', type: header.type, left: header.size, blocks: [] };
        return;
      default:
        this.#entry(header, buffer, at);
    }
  }

  #extension(type: ExtensionType, body: Buffer): void {
    this.#phase = HEADER;
    this.#extensions.add(type, body);
  }

  #entry(header: TarHeader, buffer: Buffer, at: number): void {
    const { entry, own } = this.#extensions.complete(header);
    this.#phase = HEADER;
    this.#last = entry.name;
    switch (entry.type) {
      case '0':
      case '7':
        // Before ustar, only the slash marked a folder.
        if (entry.name.endsWith('/') && entry.stored === 0)
          return this.#tree.addFolder(entry.name, entry.mtime);
        if (entry.name.endsWith('/')) throw refusal('is a folder with content', entry.name);
        return this.#file(entry, own);
      case 'S':
        return this.#oldGnuFile(entry, buffer, at);
      // POSIX: folders and links have no content, whatever their size field says.
      case '1':
        return this.#tree.addHardLink(entry.name, entry.linkname, entry.mtime);
      case '2':
        return this.#tree.addLink(entry.name, entry.linkname, entry.mtime);
      case '5':
        return this.#tree.addFolder(entry.name, entry.mtime);
      case 'D':
        // An incremental backup lists the folder's names here; unpacking does not need them.
        this.#tree.addFolder(entry.name, entry.mtime);
        this.#padding = roundUp(entry.stored);
        return;
      case 'V':
        return;
      case '3':
      case '4':
        throw refusal('is a device; only files, folders and links can be unpacked', entry.name);
      case '6':
        throw refusal('is a named pipe; only files, folders and links can be unpacked', entry.name);
      case 'M':
        throw refusal('continues another volume; join the volumes first', entry.name);
      default:
        throw refusal(`is of an unknown type ("${printableType(entry.type)}")`, entry.name);
    }
  }

  #file(entry: Entry, own: readonly PaxRecord[]): void {
    const sparse = paxSparse(own, entry.name);
    if (sparse === undefined) return this.#beginContent(entry, undefined);
    const named = { ...entry, name: sparse.name ?? entry.name };
    this.#last = named.name;
    if (sparse.version === '0') return this.#beginSparse(named, sparse.file);
    const reader = new SparseMapReader(named.name);
    this.#phase = { kind: 'sparse-map', entry: named, realSize: sparse.realSize, reader };
  }

  #oldGnuFile(entry: Entry, buffer: Buffer, at: number): void {
    const { file, continues } = oldGnuSparse(buffer, at, entry.name);
    if (continues) this.#phase = { kind: 'old-gnu-map', entry, file };
    else this.#beginSparse(entry, file);
  }

  #beginSparse(entry: Entry, file: SparseFile): void {
    this.#phase = HEADER;
    checkSparse(file, entry.stored, entry.name);
    this.#beginContent(entry, file);
  }

  #beginContent(entry: Entry, sparse: SparseFile | undefined): void {
    const facts = {
      size: sparse?.realSize ?? entry.stored,
      executable: (entry.mode & 0o111) !== 0,
      mtime: entry.mtime,
      ...(sparse === undefined ? {} : { stored: entry.stored }),
    };
    this.#tree.beginFile(entry.name, facts);
    this.#sparse = sparse;
    this.#segment = 0;
    this.#position = 0;
    this.#content = entry.stored;
    this.#padding = roundUp(entry.stored) - entry.stored;
    if (entry.stored === 0) this.#tree.endFile();
  }

  #writeContent(chunk: Buffer, start: number, end: number): void {
    if (this.#sparse === undefined) return this.#tree.write(chunk, start, end);
    let at = start;
    while (at < end) {
      const segment = this.#sparse.segments[this.#segment];
      if (segment === undefined) throw new Error('a checked sparse map ran out');
      const [offset, length] = segment;
      const count = Math.min(end - at, length - this.#position);
      if (count > 0) this.#tree.write(chunk, at, at + count, offset + this.#position);
      at += count;
      this.#position += count;
      if (this.#position === length) {
        this.#segment++;
        this.#position = 0;
      }
    }
  }
}

function isZero(buffer: Buffer, at: number): boolean {
  return ZEROS.compare(buffer, at, at + BLOCK) === 0;
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / BLOCK) * BLOCK;
}

function printableType(type: string): string {
  return /^[!-~]$/.test(type) ? type : `\\x${type.charCodeAt(0).toString(16).padStart(2, '0')}`;
}
