import type { JobId } from './job.js';

/**
 * Lets what changes a job in Slurm go one after another: a move swaps the job's record there for another, and who cancelled or
 * changed the former meanwhile would have done so in vain.
 */
export class Turns {
  readonly #last = new Map<JobId, Promise<unknown>>();

  /** Runs `act` once all that came before for that job is over, however it ended. To be taken once by each call chain only. */
  async take<T>(id: JobId, act: () => Promise<T>): Promise<T> {
    const before = this.#last.get(id) ?? Promise.resolve();
    const turn = before.then(act);
    // A failure is told to who took this turn, not to the next one.
    const over = turn.catch(() => undefined);
    this.#last.set(id, over);
    try {
      return await turn;
    } finally {
      if (this.#last.get(id) === over) this.#last.delete(id);
    }
  }
}
