import type { HostStatus } from '../../../cluster/ssh-hosts/hosts-status.js';
import type { ResolvedHost } from '../../../cluster/ssh-hosts/resolved-hosts.js';
import { askWhyTooSmall } from '../capacity.js';
import type { SshSettings } from '../ssh/config.js';
import { SshError } from '../ssh/errors.js';
import { readFacts, type HostFacts } from '../ssh/facts.js';
import { Link } from '../ssh/link.js';

/** Failed checks before a host counts as down: a packet may get lost. */
const looksUntilDown = 2;
/** Time for which a host's memory and GPUs are believed: nvidia-smi may take seconds. */
const capacityMs = 300_000;
/** With less, not even a job's log fits. */
const leastDisk = 64 * 2 ** 20;

/** Watches one host, over a connection that stays open. */
export class HostWatch {
  readonly #settings: SshSettings;
  readonly #now: () => number;

  #link: Link | undefined;
  #misses = 0;
  #status: HostStatus | undefined;
  /** Time of the last check of memory and GPUs that the host passed. */
  #sufficedAt = -Infinity;

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

  /** Checks the host. @returns the connection, when the host answers */
  async look(signal: AbortSignal): Promise<Link | undefined> {
    try {
      const { link, facts } = await this.#ask(signal);
      const tooSmall = await this.#whyTooSmall(link, signal);
      this.#misses = 0;
      const isFull = facts.diskFree < leastDisk;
      const mib = Math.floor(facts.diskFree / 2 ** 20);
      const full = isFull ? `its disk is full (${mib} MiB free at ${facts.workdir})` : null;
      this.#note(full ?? tooSmall, facts);
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

  /** Compares the host's memory and GPUs with the file. @throws SshError */
  async #whyTooSmall(link: Link, signal: AbortSignal): Promise<string | null> {
    const now = this.#now();
    if (now - this.#sufficedAt < capacityMs) return null;
    const reason = await askWhyTooSmall(link, signal);
    this.#sufficedAt = reason === null ? now : -Infinity;
    return reason;
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
    this.#sufficedAt = -Infinity;
    this.#link?.close();
    this.#link = undefined;
  }

  close(): void {
    this.#drop();
  }
}
