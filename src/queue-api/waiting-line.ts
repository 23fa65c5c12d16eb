import type { SlurmClient } from '../cluster/slurm/client.js';
import { SlurmError } from '../cluster/slurm/command.js';
import type { PendingJob } from '../cluster/slurm/pending.js';

/** Slurm’s current queue. Concurrent callers share one query at a time. */
export class WaitingLine {
  readonly #slurm: Pick<SlurmClient, 'pending'>;

  #asking: Promise<PendingJob[] | undefined> | undefined;
  #next: Promise<PendingJob[] | undefined> | undefined;

  constructor(slurm: Pick<SlurmClient, 'pending'>) {
    this.#slurm = slurm;
  }

  /**
   * Lists the waiting jobs; undefined while Slurm does not answer. A call during a running query
   * gets the result of the next one, since only that one is certainly newer.
   */
  now(): Promise<PendingJob[] | undefined> {
    if (this.#asking === undefined) return this.#ask();
    this.#next ??= this.#asking.then(
      () => this.#follow(),
      () => this.#follow(),
    );
    return this.#next;
  }

  #follow(): Promise<PendingJob[] | undefined> {
    this.#next = undefined;
    return this.#ask();
  }

  #ask(): Promise<PendingJob[] | undefined> {
    const asking = this.#pending().finally(() => {
      if (this.#asking === asking) this.#asking = undefined;
    });
    this.#asking = asking;
    return asking;
  }

  async #pending(): Promise<PendingJob[] | undefined> {
    try {
      return await this.#slurm.pending();
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      return undefined;
    }
  }
}
