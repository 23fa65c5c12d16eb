import { createHash, randomBytes, type Hash } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  futimesSync,
  mkdirSync,
  openSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { printable } from '../../../datasets/archive/printable.js';
import type { Listing, HostFile } from './listing.js';
import { HostProtocolError } from './listing.js';
import { openFolder, OwnFolders, within } from './own-folders.js';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

/** The API, a member of our group, reads and removes these folders. */
const folderMode = 0o2770;

interface OpenFile {
  file: HostFile;
  fd: number;
  /** The temporary name of an unfinished file. */
  part: string;
  hash: Hash;
  written: number;
}

/**
 * Writes a job's outputs from one stream of bytes, file after file. A file gets its name only once
 * its digest is right. The host chooses the names, and the folder's owner could put links into it:
 * no folder is entered through a link.
 */
export class FileWriter {
  readonly #listing: Listing;

  readonly #waiting: HostFile[];
  readonly #folders: OwnFolders;
  #open: OpenFile | undefined;
  /** Bytes of whole files. */
  bytes = 0;

  /** Opens the folder. {@link end} must follow. */
  constructor(folder: string, listing: Listing) {
    this.#listing = listing;

    // Empty files need no bytes.
    this.#waiting = listing.files.filter((file) => file.size > 0);
    this.#folders = new OwnFolders(folder);
    try {
      for (const raw of [...listing.folders].sort()) this.#makeFolder(raw);
      for (const file of listing.files) if (file.size === 0) this.#close(this.#begin(file));
    } catch (error) {
      this.#folders.close();
      throw error;
    }
  }

  /** The names that are still to come, and the bytes of the first that are here. */
  get missing(): { names: string[]; offset: number } {
    const open = this.#open;
    const names = [...(open ? [open.file] : []), ...this.#waiting].map(({ raw }) => raw);
    return { names, offset: open?.written ?? 0 };
  }

  /**
   * Writes bytes. @throws HostProtocolError when a file differs from its digest, or too many bytes
   * come
   */
  write(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      const open = (this.#open ??= this.#beginNext());
      const part = chunk.subarray(at, at + open.file.size - open.written);
      for (let done = 0; done < part.length;) done += writeSync(open.fd, part, done);
      open.hash.update(part);
      open.written += part.length;
      at += part.length;
      if (open.written < open.file.size) return;
      this.#open = undefined;
      this.#close(open);
    }
  }

  /** Makes the links. Must be called once all files are here. */
  makeLinks(): void {
    for (const { raw, target } of this.#listing.links)
      symlinkSync(Buffer.from(target, 'latin1'), this.#pathOf(raw));
  }

  /** Removes an unfinished file. */
  end(): void {
    if (this.#open !== undefined) {
      const { fd, file, part } = this.#open;
      closeSync(fd);
      unlinkSync(within(this.#folders.enter(dirname(file.raw)), part));
      this.#open = undefined;
    }
    this.#folders.close();
  }

  #makeFolder(raw: string): void {
    const path = this.#pathOf(raw);
    mkdirSync(path);
    const fd = openFolder(path);
    fchmodSync(fd, folderMode);
    closeSync(fd);
  }

  #beginNext(): OpenFile {
    const file = this.#waiting.shift();
    if (file === undefined)
      throw new HostProtocolError('the host sent more bytes than it had listed');
    return this.#begin(file);
  }

  #begin(file: HostFile): OpenFile {
    const part = `.jobrunner-${randomBytes(6).toString('hex')}.part`;
    const path = within(this.#folders.enter(dirname(file.raw)), part);
    const mode = file.executable ? 0o750 : 0o640;
    const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    return { file, fd, part, hash: createHash('sha256'), written: 0 };
  }

  #close({ file, fd, part, hash }: OpenFile): void {
    const isRight = hash.digest('hex') === file.sha256;
    // Times before 1970 or far ahead are mistakes that some file systems cannot store.
    if (file.mtime >= 0 && file.mtime < 2 ** 33) futimesSync(fd, file.mtime, file.mtime);
    closeSync(fd);
    const folder = this.#folders.enter(dirname(file.raw));
    if (!isRight) {
      unlinkSync(within(folder, part));
      throw new HostProtocolError(
        `the output "${printable(file.raw)}" arrived with another digest`,
      );
    }
    renameSync(within(folder, part), within(folder, basename(file.raw)));
    this.bytes += file.size;
  }

  #pathOf(raw: string): Buffer {
    return within(this.#folders.enter(dirname(raw)), basename(raw));
  }
}
