import { rmSync, statSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { errnoOf } from '../errors.js';
import { freeSpace } from '../free-space.js';
import { openDatabase, type Database } from './database.js';

const MiB = 2 ** 20;
/** Bytes that the database can always write, in free pages of its file and in its log (WAL). */
const roomBytes = 4 * MiB;
/** Bytes written at once: the event loop waits for each part. */
const partBytes = MiB / 4;
/** Bytes of the file that is given up if the database cannot be opened. */
const reserveBytes = 8 * MiB;
/** Free bytes below which no room is made. */
const minFreeBytes = 64 * MiB;

const reserveOf = (path: string) => `${path}.reserve`;

/**
 * Opens the database also on a full disk: gives up the reserve file then, for the files that SQLite
 * makes at each opening.
 * @throws Error as {@link openDatabase} does
 */
export function openWithReserve(path: string, alone: boolean): Database {
  try {
    return openDatabase(path, alone);
  } catch (error) {
    if (!/^SQLITE_(FULL|IOERR|CANTOPEN)/.test(errnoOf(error) ?? '') || !giveUpReserve(path))
      throw error;
    return openDatabase(path, alone);
  }
}

/** @returns whether there was a reserve */
function giveUpReserve(path: string): boolean {
  try {
    rmSync(reserveOf(path));
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/**
 * Keeps room for the database on a disk that jobs may fill at any time, so that jobs still can be
 * cancelled and deleted, and their ends recorded. Jobs cannot take this room: it consists of free
 * pages in the database's file, which SQLite uses before the file grows, and of its WAL, which
 * SQLite overwrites from the start (sqlite.org/wal.html, "Avoiding Excessively Large WAL Files").
 */
export class DatabaseRoom {
  readonly #db: Database;
  readonly #path: string;

  constructor(db: Database, path: string) {
    this.#db = db;
    this.#path = path;
  }

  /** Makes the missing room, unless the disk is nearly full. */
  async keep(): Promise<void> {
    const isMissing = this.#isMissing();
    const hasReserve = sizeOf(reserveOf(this.#path)) === reserveBytes;
    if (!isMissing && hasReserve) return;
    if ((await freeSpace(this.#path)) < minFreeBytes) return;
    if (isMissing) await this.#make();
    if (!hasReserve) await this.#makeReserve();
  }

  #isMissing(): boolean {
    const pages = this.#db.pragma('freelist_count', { simple: true }) as number;
    const pageBytes = this.#db.pragma('page_size', { simple: true }) as number;
    return pages * pageBytes < roomBytes / 2 || sizeOf(`${this.#path}-wal`) < roomBytes / 2;
  }

  async #make(): Promise<void> {
    const fill = this.#db.prepare('INSERT INTO room (bytes) VALUES (zeroblob(?))');
    try {
      for (let bytes = 0; bytes < roomBytes; bytes += partBytes) {
        fill.run(partBytes);
        await nextTurn();
      }
      // Only pages that have been written to the file have their place on the disk.
      this.#db.pragma('wal_checkpoint(PASSIVE)');
    } finally {
      this.#db.exec('DELETE FROM room');
    }
  }

  async #makeReserve(): Promise<void> {
    const path = reserveOf(this.#path);
    try {
      await writeFile(path, Buffer.alloc(reserveBytes), { mode: 0o600, flush: true });
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
