import { type PaxRecord, parsePax, paxInteger, paxValue } from './pax.js';
import { refusal } from './refusal.js';
import type { TarHeader } from './tar-header.js';

/** GNU tar writes maps of holes into PAX headers, so they can be long; names cannot. */
const MAX_PAX_BYTES = 16 * 2 ** 20;
const MAX_LONG_NAME_BYTES = 64 * 2 ** 10;

export type ExtensionType = 'x' | 'g' | 'L' | 'K';

export interface Entry extends TarHeader {
  /** Bytes in the archive, as opposed to bytes in the file. */
  stored: number;
}

/**
 * Collects the headers that are no entries: about the next entry (PAX `x`, GNU `L` and `K`), or
 * about all later ones (PAX `g`).
 */
export class TarExtensions {
  #own: PaxRecord[] = [];
  #ownBytes = 0;
  readonly #global = new Map<string, string>();
  #globalBytes = 0;
  #longName: string | undefined;
  #longLink: string | undefined;

  /** Whether headers have described an entry that has not come yet. */
  get isPending(): boolean {
    return this.#own.length > 0 || this.#longName !== undefined || this.#longLink !== undefined;
  }

  /** @throws AppError archive_refused for a header too large to be kept */
  ensureNotTooLarge({ name, size }: TarHeader, type: ExtensionType): void {
    const limit = {
      x: MAX_PAX_BYTES - this.#ownBytes,
      g: MAX_PAX_BYTES - this.#globalBytes,
      L: MAX_LONG_NAME_BYTES,
      K: MAX_LONG_NAME_BYTES,
    }[type];
    if (size > limit)
      throw refusal(`has an extended header of ${size} bytes, which is too large`, name);
  }

  /** @throws AppError archive_refused */
  add(type: ExtensionType, body: Buffer): void {
    if (type === 'x') {
      this.#own = this.#own.concat(parsePax(body));
      this.#ownBytes += body.length;
    } else if (type === 'g') {
      for (const [key, value] of parsePax(body)) this.#global.set(key, value);
      this.#globalBytes += body.length;
    } else {
      const name = body.toString('latin1').replace(/\0+$/, '');
      if (type === 'L') this.#longName = name;
      else this.#longLink = name;
    }
  }

  /**
   * Returns the header with the preceding ones applied, and its own PAX records; then nothing is
   * pending.
   */
  complete(header: TarHeader): { entry: Entry; own: readonly PaxRecord[] } {
    const own = this.#own;
    const global = this.#global;
    const plain = own.length === 0 && global.size === 0;
    const value = (key: string) => (plain ? undefined : paxValue(key, own, global));
    const name = value('path') ?? this.#longName ?? header.name;
    const size = value('size');
    const mtime = value('mtime');
    const stored = size === undefined ? header.size : paxInteger('size', size, name);
    const entry = {
      ...header,
      name,
      linkname: value('linkpath') ?? this.#longLink ?? header.linkname,
      size: stored,
      stored,
      mtime:
        mtime !== undefined && /^-?\d{1,15}(\.\d*)?$/.test(mtime) ? Number(mtime) : header.mtime,
    };
    this.#own = [];
    this.#ownBytes = 0;
    this.#longName = undefined;
    this.#longLink = undefined;
    return { entry, own };
  }
}
