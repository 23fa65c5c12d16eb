import { statfsSync } from 'node:fs';
import { AppError } from '../../errors.js';
import type { ExtractLimits } from './messages.js';
import { refusal } from './refusal.js';

/**
 * A deflate stream cannot exceed 1032:1 and real data stays far below it, while xz and zstd bombs
 * reach 7,000:1 and more. Small archives of zeros are harmless at any ratio, so content under 1 GiB
 * is exempt.
 */
const BOMB_RATIO = 1000;
const BOMB_BYTES = 2 ** 30;

/** Bytes written between two checks of the free disk. */
const LOOK_EVERY_BYTES = 64 * 2 ** 20;
const LOOK_EVERY_ENTRIES = 512;
/** Space kept for the rest of the service (mainly its database), or 1 % of a small disk. */
const RESERVE_BYTES = 64 * 2 ** 20;

/**
 * Counts an extraction's entries and bytes against the limits, the archive's own size and the free
 * disk.
 */
export class Budget {
  readonly #limits: ExtractLimits;
  readonly #archiveBytes: number;
  readonly #dir: string;

  #entries = 0;
  #bytes = 0;
  #streamed = 0;
  #room = 0;
  #entriesAtLook = 0;

  constructor(limits: ExtractLimits, archiveBytes: number, dir: string) {
    this.#limits = limits;
    this.#archiveBytes = archiveBytes;
    this.#dir = dir;

    this.#look();
  }

  /** Counts one more file, folder or link. Throws `archive_refused` beyond the limit. */
  addEntry(entry: string): void {
    this.#entries++;
    const { maxFiles } = this.#limits;
    if (maxFiles > 0 && this.#entries > maxFiles)
      throw refusal(
        `exceeds the limit of ${maxFiles} files and folders; pack fewer or raise JR_MAX_EXTRACT_FILES`,
        entry,
      );
    if (this.#entries - this.#entriesAtLook >= LOOK_EVERY_ENTRIES) this.#need(0);
  }

  /**
   * Counts a file's bytes before they are written: `logical` with its holes, `stored` without.
   * Throws `archive_refused` beyond the limit or at a bomb's ratio, `quota_exceeded` beyond the
   * owner's room, `disk_full` when they do not fit.
   */
  addBytes(logical: number, stored: number, entry: string): void {
    this.#bytes += logical;
    const { maxBytes } = this.#limits;
    if (maxBytes > 0 && this.#bytes > maxBytes)
      throw refusal(
        `takes the content over the limit of ${maxBytes} bytes; pack less or raise JR_MAX_EXTRACT_GB`,
        entry,
      );
    const { roomBytes } = this.#limits;
    if (roomBytes !== undefined && this.#bytes > roomBytes)
      throw new AppError(
        'quota_exceeded',
        `the archive unpacks to more than the ${roomBytes} bytes that you may still store`,
      );
    if (this.#smellsOfBomb(this.#bytes))
      throw refusal(
        `takes the content over ${BOMB_RATIO} times the archive's size, like a decompression bomb`,
        entry,
      );
    this.#need(stored);
  }

  /** Counts bytes from a decompressor, used or not. Throws `archive_refused` at a bomb's ratio. */
  addStreamed(count: number): void {
    this.#streamed += count;
    if (this.#smellsOfBomb(this.#streamed))
      throw refusal(
        `it decompresses to more than ${BOMB_RATIO} times its size, like a decompression bomb`,
      );
  }

  #smellsOfBomb(produced: number): boolean {
    return produced > BOMB_BYTES && produced > BOMB_RATIO * this.#archiveBytes;
  }

  #need(stored: number): void {
    this.#room -= stored;
    const due = this.#entries - this.#entriesAtLook >= LOOK_EVERY_ENTRIES;
    if (this.#room >= 0 && !due) return;
    const free = this.#look();
    if (stored > free)
      throw new AppError(
        'disk_full',
        'the disk is too full to unpack the archive; free some space',
        {
          details: { needed_bytes: stored, free_bytes: Math.max(0, free) },
        },
      );
    this.#room -= stored;
  }

  #look(): number {
    const disk = statfsSync(this.#dir);
    const reserve = Math.min(RESERVE_BYTES, (disk.blocks * disk.bsize) / 100);
    const free = disk.bavail * disk.bsize - reserve;
    this.#room = Math.min(free, LOOK_EVERY_BYTES);
    this.#entriesAtLook = this.#entries;
    return free;
  }
}
