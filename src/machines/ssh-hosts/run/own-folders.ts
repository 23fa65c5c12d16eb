import { closeSync, constants, openSync } from 'node:fs';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
const folderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/** Returns a path to an entry of an open folder, wherever that folder has moved (proc(5)). */
export function within(fd: number, raw: string): Buffer {
  return Buffer.from(`/proc/self/fd/${fd}/${raw}`, 'latin1');
}

/** Opens a folder. @throws Error for a link or anything but a folder */
export function openFolder(path: string | Buffer): number {
  return openSync(path, folderFlags);
}

/**
 * The folders below one whose owner could put links in their places at any time. Each is entered
 * from the one above it, never through a link.
 */
export class OwnFolders {
  readonly #root: number;
  #at = '.';
  #fd: number;

  constructor(root: string) {
    this.#root = openFolder(root);
    this.#fd = this.#root;
  }

  /**
   * Opens a folder.
   * @param raw path below the root, `.` for the root itself; one character for one byte
   * @returns the open folder; the next call closes it
   */
  enter(raw: string): number {
    if (raw === this.#at) return this.#fd;
    this.#leave();
    if (raw !== '.')
      for (const name of raw.split('/')) {
        const next = openFolder(within(this.#fd, name));
        this.#leave();
        this.#fd = next;
      }
    this.#at = raw;
    return this.#fd;
  }

  close(): void {
    this.#leave();
    closeSync(this.#root);
  }

  #leave(): void {
    if (this.#fd !== this.#root) closeSync(this.#fd);
    this.#fd = this.#root;
    this.#at = '.';
  }
}
