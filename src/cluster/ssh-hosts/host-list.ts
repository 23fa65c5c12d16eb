import { readFileSync, statSync } from 'node:fs';
import { errnoOf } from '../../errors.js';
import { hostsRecordSchema, type HostsRecord, type ResolvedHost } from './resolved-hosts.js';

/**
 * The SSH hosts that the controller records in `remote/hosts.json`; read again whenever the file
 * changes.
 */
export class HostList {
  readonly #path: string;

  #record: HostsRecord = { hosts: [], problem: null };
  #stamp = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** Returns all hosts, including those that are leaving. */
  all(): readonly ResolvedHost[] {
    return this.#read().hosts;
  }

  /** Returns the hosts that take jobs. */
  open(): ResolvedHost[] {
    return this.#read().hosts.filter((host) => !host.leaving);
  }

  /** Returns why the current file of SSH hosts is not used; null if it is. */
  problem(): string | null {
    return this.#read().problem;
  }

  #read(): HostsRecord {
    try {
      const { ino, mtimeMs, size } = statSync(this.#path);
      const stamp = `${ino} ${mtimeMs} ${size}`;
      if (stamp !== this.#stamp) {
        this.#record = hostsRecordSchema.parse(JSON.parse(readFileSync(this.#path, 'utf8')));
        this.#stamp = stamp;
      }
    } catch (error) {
      // The file is missing if `serve` runs without our stack.
      if (errnoOf(error) !== 'ENOENT') throw error;
      this.#record = { hosts: [], problem: null };
      this.#stamp = '';
    }
    return this.#record;
  }
}
