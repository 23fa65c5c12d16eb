import type { SlurmClient } from '../cluster/slurm/client.js';
import { SlurmError } from '../cluster/slurm/command.js';
import type { PendingJob } from '../cluster/slurm/pending.js';

/** Slurm's queue as it is now. However many ask at once, Slurm is asked once at a time. */
export class WaitingLine {
  readonly #slurm: Pick<SlurmClient, 'pending'>;

  #asking: Promise<PendingJob[] | undefined> | undefined;
  #next: Promise<PendingJob[] | undefined> | undefined;

  constructor(slurm: Pick<SlurmClient, 'pending'>) {
    this.#slurm = slurm;
  }

  /** What waits; undefined while Slurm does not answer. A call during another gets the answer after that one, which alone is sure to be newer. */
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
