import { createHash, randomBytes, type Hash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { printable } from '../../datasets/archive/printable.js';
import type { Listing, RemoteFile } from './listing.js';
import { RemoteLie } from './listing.js';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

/** The API, a member of our group, reads and removes what is here. */
const folderMode = 0o2770;

interface OpenFile {
  file: RemoteFile;
  fd: number;
  path: Buffer;
  hash: Hash;
  written: number;
}

/**
 * Writes a job's outputs as their bytes come, one file behind the other. A file has its name only once its digest is right.
 * The folder is empty at first and ours alone, and links are made last, so that no name leads out of it.
 */
export class FileWriter {
  readonly #waiting: RemoteFile[];
  #open: OpenFile | undefined;
  /** Bytes of whole files. */
  bytes = 0;

  constructor(
    private readonly folder: string,
    private readonly listing: Listing,
  ) {
    for (const raw of [...listing.folders].sort()) {
      mkdirSync(this.#pathOf(raw));
      chmodSync(this.#pathOf(raw), folderMode);
    }
    // Empty ones need no bytes to come.
    this.#waiting = listing.files.filter((file) => file.size > 0);
    for (const file of listing.files) if (file.size === 0) this.#close(this.#begin(file));
  }

  /** What is still to come: the names, and how many bytes of the first are here. */
  get missing(): { names: string[]; offset: number } {
    const open = this.#open;
    const names = [...(open ? [open.file] : []), ...this.#waiting].map(({ raw }) => raw);
    return { names, offset: open?.written ?? 0 };
  }

  /** @throws RemoteLie when a file is not what its digest says, or more comes than was told. */
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

  /** To be called when nothing is missing any more. */
  makeLinks(): void {
    for (const { raw, target } of this.listing.links)
      symlinkSync(Buffer.from(target, 'latin1'), this.#pathOf(raw));
  }

  /** Leaves out what has not come whole. */
  giveUp(): void {
    if (this.#open === undefined) return;
    closeSync(this.#open.fd);
    unlinkSync(this.#open.path);
    this.#open = undefined;
  }

  #beginNext(): OpenFile {
    const file = this.#waiting.shift();
    if (file === undefined) throw new RemoteLie('the host sent more than it had told');
    return this.#begin(file);
  }

  #begin(file: RemoteFile): OpenFile {
    const parent = dirname(file.raw);
    const name = `.jobrunner-${randomBytes(6).toString('hex')}.part`;
    const path = this.#pathOf(parent === '.' ? name : `${parent}/${name}`);
    const mode = file.executable ? 0o750 : 0o640;
    const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    return { file, fd, path, hash: createHash('sha256'), written: 0 };
  }

  #close({ file, fd, path, hash }: OpenFile): void {
    closeSync(fd);
    if (hash.digest('hex') !== file.sha256) {
      unlinkSync(path);
      throw new RemoteLie(`the output "${printable(file.raw)}" arrived with another digest`);
    }
    // Times before 1970 or far ahead are mistakes that some file systems cannot keep.
    if (file.mtime >= 0 && file.mtime < 2 ** 33) utimesSync(path, file.mtime, file.mtime);
    renameSync(path, this.#pathOf(file.raw));
    this.bytes += file.size;
  }

  #pathOf(raw: string): Buffer {
    return Buffer.from(join(Buffer.from(this.folder).toString('latin1'), raw), 'latin1');
  }
}
