import { readFileSync, statSync } from 'node:fs';
import { errnoOf } from '../../errors.js';
import { hostsRecordSchema, type HostsRecord, type ResolvedHost } from './resolved-hosts.js';

/** The SSH hosts as the stack keeps them in `remote/hosts.json`; read again whenever that is another file. */
export class HostList {
  #record: HostsRecord = { hosts: [], problem: null };
  #stamp = '';

  constructor(private readonly path: string) {}

  /** All of them, those that are leaving, too. */
  all(): readonly ResolvedHost[] {
    return this.#read().hosts;
  }

  /** Those that take jobs. */
  open(): ResolvedHost[] {
    return this.#read().hosts.filter((host) => !host.leaving);
  }

  /** Why the file of SSH hosts, as it stands, is not used. */
  problem(): string | null {
    return this.#read().problem;
  }

  #read(): HostsRecord {
    try {
      const { ino, mtimeMs, size } = statSync(this.path);
      const stamp = `${ino} ${mtimeMs} ${size}`;
      if (stamp !== this.#stamp) {
        this.#record = hostsRecordSchema.parse(JSON.parse(readFileSync(this.path, 'utf8')));
        this.#stamp = stamp;
      }
    } catch (error) {
      // `serve` alone, in front of a Slurm without a stack of ours.
      if (errnoOf(error) !== 'ENOENT') throw error;
      this.#record = { hosts: [], problem: null };
      this.#stamp = '';
    }
    return this.#record;
  }
}
