import {
  type Stats,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  ftruncateSync,
  futimesSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  realpathSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { errnoOf } from '../../errors.js';
import type { Budget } from './budget.js';
import { entryPath, fsPath, maxPathBytes } from './entry-name.js';
import { LinkMap } from './link-map.js';
import { refusal } from './refusal.js';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, COPYFILE_EXCL, COPYFILE_FICLONE } = constants;

/**
 * A set-group-ID folder gives its group to its new entries, which saves a chown for each file;
 * `finish` removes the bit.
 */
const WORKING_FOLDER = 0o2750;
const FOLDER = 0o750;
const PLAIN_FILE = 0o640;
const EXECUTABLE_FILE = 0o750;

/** Times outside this range (1901 to 2242) are mistakes, and some file systems cannot keep them. */
const EARLIEST = -(2 ** 31);
const LATEST = 2 ** 33;

export interface FileFacts {
  /** Undefined when only the stream's end tells the size. */
  size: number | undefined;
  /** Bytes to be written when the file has holes. */
  stored?: number;
  executable: boolean;
  /** Seconds since 1970. */
  mtime: number | undefined;
}

/**
 * Makes the tree. The process works in the tree's root, where nobody else writes, and makes links
 * last. So folders that it has not made do not exist, and checking a path's text is enough. All
 * names are raw.
 */
export class TreeWriter {
  readonly #budget: Budget;

  readonly #folders = new Set(['']);
  readonly #folderTimes = new Map<string, number>();
  readonly #linkTimes = new Map<string, number>();
  readonly #links = new LinkMap();
  readonly #maxPath: number;
  #parent = '';
  #open: { fd: number; raw: string; facts: FileFacts } | undefined;
  files = 0;
  bytes = 0;

  constructor(treeDir: string, budget: Budget, fileGroup: number | undefined) {
    this.#budget = budget;

    this.#maxPath = maxPathBytes(treeDir);
    if (fileGroup !== undefined) chownSync('.', -1, fileGroup);
    chmodSync('.', fileGroup === undefined ? FOLDER : WORKING_FOLDER);
  }

  addFolder(raw: string, mtime: number | undefined): void {
    const path = this.#pathOf(raw);
    this.#makeFolder(path, raw);
    if (isSane(mtime)) this.#folderTimes.set(path, mtime);
  }

  beginFile(raw: string, facts: FileFacts): void {
    const path = this.#pathFor(raw);
    this.#budget.addEntry(raw);
    if (facts.size !== undefined) this.#count(facts.size, facts.stored ?? facts.size, raw);
    const mode = facts.executable ? EXECUTABLE_FILE : PLAIN_FILE;
    const target = fsPath(path);
    const fd = this.#replacing(path, raw, () =>
      openSync(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode),
    );
    this.#open = { fd, raw, facts };
    this.files++;
  }

  /** Writes the open file's next bytes, or those at `position`. */
  write(chunk: Buffer, start: number, end: number, position: number | null = null): void {
    const { fd, raw, facts } = this.#opened();
    if (facts.size === undefined) this.#count(end - start, end - start, raw);
    let at = start;
    while (at < end)
      at += writeSync(fd, chunk, at, end - at, position === null ? null : position + at - start);
  }

  endFile(): void {
    const { fd, facts } = this.#opened();
    if (facts.stored !== undefined && facts.size !== undefined) ftruncateSync(fd, facts.size);
    if (isSane(facts.mtime)) futimesSync(fd, facts.mtime, facts.mtime);
    closeSync(fd);
    this.#open = undefined;
  }

  addLink(raw: string, target: string, mtime: number | undefined): void {
    const path = this.#pathFor(raw, target);
    this.#budget.addEntry(raw);
    if (this.#links.get(path) === target) return;
    if (this.#statOf(path) !== undefined)
      throw refusal('is a link that would replace an earlier file', raw);
    this.#links.add(path, target);
    if (isSane(mtime)) this.#linkTimes.set(path, mtime);
    this.files++;
  }

  /**
   * Adds a hard link as a copy (sharing its blocks where the disk can), so that no two names share
   * an inode.
   */
  addHardLink(raw: string, rawTarget: string, mtime: number | undefined): void {
    const source = entryPath(rawTarget, this.#maxPath, raw);
    const linkTarget = this.#links.get(source);
    if (linkTarget !== undefined) return this.addLink(raw, linkTarget, mtime);
    const path = this.#pathFor(raw);
    this.#budget.addEntry(raw);
    const stat = this.#statOf(source);
    if (stat?.isFile() !== true)
      throw refusal('is a hard link, but its target is no earlier file', raw);
    if (path === source) return;
    this.#count(stat.size, stat.size, raw);
    this.#replacing(path, raw, () => {
      copyFileSync(fsPath(source), fsPath(path), COPYFILE_EXCL | COPYFILE_FICLONE);
    });
    const time = isSane(mtime) ? mtime : stat.mtimeMs / 1000;
    utimesSync(fsPath(path), time, time);
    this.files++;
  }

  /** Makes the links and sets the folders' final mode and time. Nothing can be added afterwards. */
  finish(): void {
    this.#links.check();
    for (const [path, target] of this.#links.entries()) {
      symlinkSync(fsPath(target), fsPath(path));
      const time = this.#linkTimes.get(path);
      if (time !== undefined) lutimesSync(fsPath(path), time, time);
    }
    this.#askTheKernel();
    for (const path of this.#folders) {
      const folder = path === '' ? '.' : fsPath(path);
      chmodSync(folder, FOLDER);
      const time = this.#folderTimes.get(path);
      if (time !== undefined) utimesSync(folder, time, time);
    }
  }

  /** Checks our own reading of the links against the kernel's. */
  #askTheKernel(): void {
    if (this.#links.size === 0) return;
    const root = realpathSync.native('.', 'latin1');
    for (const [path] of this.#links.entries()) {
      try {
        const real = realpathSync.native(fsPath(path), 'latin1');
        if (real !== root && !real.startsWith(`${root}/`))
          throw refusal('is a link that leaves the tree', path);
      } catch (error) {
        // A link's target may be missing, or lie "below" a file.
        if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR') throw error;
      }
    }
  }

  #pathOf(raw: string): string {
    return entryPath(raw, this.#maxPath);
  }

  /**
   * Returns the path of an entry that is no folder, and makes its parent. Refuses it when a folder
   * or a link is in the way.
   */
  #pathFor(raw: string, sameTarget?: string): string {
    const path = this.#pathOf(raw);
    if (this.#folders.has(path)) throw refusal('would replace a folder', raw);
    const target = this.#links.get(path);
    if (target !== undefined && target !== sameTarget)
      throw refusal('would replace a link or be written through it', raw);
    const slash = path.lastIndexOf('/');
    const parent = slash < 0 ? '' : path.slice(0, slash);
    if (parent !== this.#parent) {
      this.#makeFolder(parent, raw);
      this.#parent = parent;
    }
    return path;
  }

  #makeFolder(path: string, raw: string): void {
    if (this.#folders.has(path)) return;
    const slash = path.lastIndexOf('/');
    if (slash > 0) this.#makeFolder(path.slice(0, slash), raw);
    if (this.#links.get(path) !== undefined) throw refusal('would be written through a link', raw);
    this.#budget.addEntry(raw);
    try {
      mkdirSync(fsPath(path), FOLDER);
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') throw refusal('needs a folder where a file is', raw, error);
      throw error;
    }
    this.#folders.add(path);
  }

  /**
   * Runs `make`; the entry replaces an earlier file of the same name, as in tar, and nothing else.
   */
  #replacing<T>(path: string, raw: string, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    const before = lstatSync(fsPath(path));
    if (!before.isFile()) throw refusal('would replace an entry that is not a file', raw);
    unlinkSync(fsPath(path));
    this.files--;
    this.bytes -= before.size;
    return make();
  }

  /** Returns undefined when nothing is there. */
  #statOf(path: string): Stats | undefined {
    try {
      return lstatSync(fsPath(path), { throwIfNoEntry: false });
    } catch (error) {
      // "Below" a file.
      if (errnoOf(error) === 'ENOTDIR') return undefined;
      throw error;
    }
  }

  #count(logical: number, stored: number, raw: string): void {
    this.#budget.addBytes(logical, stored, raw);
    this.bytes += logical;
  }

  #opened() {
    if (this.#open === undefined) throw new Error('no file of the tree is open');
    return this.#open;
  }
}

function isSane(mtime: number | undefined): mtime is number {
  return mtime !== undefined && mtime >= EARLIEST && mtime <= LATEST;
}
