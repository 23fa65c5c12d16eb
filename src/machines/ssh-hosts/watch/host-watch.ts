import type { HostStatus } from '../../../cluster/ssh-hosts/hosts-status.js';
import type { ResolvedHost } from '../../../cluster/ssh-hosts/resolved-hosts.js';
import type { SshSettings } from '../ssh/config.js';
import { SshError } from '../ssh/errors.js';
import { readFacts, type HostFacts } from '../ssh/facts.js';
import { Link } from '../ssh/link.js';

/** Failed checks before a host counts as down: a packet may get lost. */
const looksUntilDown = 2;
/** With less, not even a job's log fits. */
const leastDisk = 64 * 2 ** 20;

/** Watches one host, over a connection that stays open. */
export class HostWatch {
  readonly #settings: SshSettings;
  readonly #now: () => number;

  #link: Link | undefined;
  #misses = 0;
  #status: HostStatus | undefined;

  constructor(
    readonly host: ResolvedHost,
    settings: SshSettings,
    now: () => number,
  ) {
    this.#settings = settings;
    this.#now = now;
  }

  /** The status; undefined before the first conclusive check. */
  get status(): HostStatus | undefined {
    return this.#status;
  }

  /** Checks the host. @returns the connection, when the host is well */
  async look(signal: AbortSignal): Promise<Link | undefined> {
    try {
      const { link, facts } = await this.#ask(signal);
      this.#misses = 0;
      const isFull = facts.diskFree < leastDisk;
      const mib = Math.floor(facts.diskFree / 2 ** 20);
      this.#note(isFull ? `its disk is full (${mib} MiB free at ${facts.workdir})` : null, facts);
      return link;
    } catch (error) {
      this.#drop();
      if (!(error instanceof SshError)) throw error;
      this.#misses++;
      if (error.mayPass && this.#misses < looksUntilDown) return undefined;
      this.#note(error.message.replace(`SSH host ${this.host.name}: `, ''), undefined);
      return undefined;
    }
  }

  async #ask(signal: AbortSignal): Promise<{ link: Link; facts: HostFacts }> {
    if (this.#link?.isBroken === true) this.#drop();
    if (this.#link === undefined) {
      this.#link = await Link.connect(this.host, this.#settings, signal);
      return { link: this.#link, facts: this.#link.facts };
    }
    const printed = await this.#link.call(['hello', this.host.workdir], { signal });
    const facts = readFacts(printed);
    if (facts === undefined)
      throw new SshError('other', `SSH host ${this.host.name}: its answer cannot be understood`);
    return { link: this.#link, facts };
  }

  #note(reason: string | null, facts: HostFacts | undefined): void {
    const ok = reason === null;
    const now = this.#now();
    const before = this.#status;
    this.#status = {
      name: this.host.name,
      ok,
      since: before?.ok === ok ? before.since : now,
      checked_at: now,
      reason,
      disk_free_bytes: facts?.diskFree ?? null,
      clock_skew_seconds: facts?.clockSkew ?? null,
    };
  }

  #drop(): void {
    this.#link?.close();
    this.#link = undefined;
  }

  close(): void {
    this.#drop();
  }
}
