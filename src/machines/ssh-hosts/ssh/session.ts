import { setTimeout as sleep } from 'node:timers/promises';
import type { ResolvedHost } from '../../../cluster/ssh-hosts/resolved-hosts.js';
import { SshError } from './errors.js';
import type { SshSettings } from './config.js';
import { Link } from './link.js';

/** Seconds between two tries; the last repeats. */
const waits = [1, 2, 4, 8, 15, 30];

/** A host in use by one job, over a connection that is renewed when it breaks. */
export class HostSession {
  readonly #settings: SshSettings;
  readonly #say: (line: string) => void;

  #link: Link | undefined;
  /** Milliseconds for which a broken connection is retried; infinite once a job runs there. */
  patience: number;

  constructor(
    readonly host: ResolvedHost,
    settings: SshSettings,
    say: (line: string) => void,
    { patienceSeconds }: { patienceSeconds: number },
  ) {
    this.#settings = settings;
    this.#say = say;

    this.patience = patienceSeconds * 1000;
  }

  /**
   * Does repeatable work there, and repeats it when the connection breaks.
   * @throws SshError; the signal's reason
   */
  async use<T>(work: (link: Link) => Promise<T>, signal: AbortSignal): Promise<T> {
    let brokenSince: number | undefined;
    for (let tries = 0; ; tries++) {
      try {
        const link = await this.#connected(signal);
        if (brokenSince !== undefined)
          this.#say(
            `the link to ${this.host.name} is back after ${Math.round((Date.now() - brokenSince) / 1000)} s`,
          );
        brokenSince = undefined;
        return await work(link);
      } catch (error) {
        if (!(error instanceof SshError) || !error.mayPass) throw error;
        this.#link?.close();
        this.#link = undefined;
        if (brokenSince === undefined) {
          tries = 0;
          this.#say(`${error.message}; trying again`);
        }
        brokenSince ??= Date.now();
        const wait = (waits[Math.min(tries, waits.length - 1)] ?? 30) * 1000;
        if (Date.now() - brokenSince + wait > this.patience) throw error;
        await sleep(wait, undefined, { signal }).catch(() => signal.throwIfAborted());
      }
    }
  }

  async #connected(signal: AbortSignal): Promise<Link> {
    if (this.#link?.isBroken === true) {
      this.#link.close();
      this.#link = undefined;
    }
    return (this.#link ??= await Link.connect(this.host, this.#settings, signal));
  }

  close(): void {
    this.#link?.close();
    this.#link = undefined;
  }
}
