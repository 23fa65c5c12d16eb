interface Waiter {
  begin: () => void;
}

/**
 * Limits how much work runs at once, in total and for each user. A free place goes to the user who
 * has the fewest; among those, to the one who has waited longest for a turn. So a user with much
 * work holds up nobody with little.
 */
export class FairTurns {
  readonly #total: number;
  readonly #each: number;
  readonly #running = new Map<string, number>();
  /** The next user comes first. */
  readonly #waiting = new Map<string, Waiter[]>();
  #places = 0;

  /**
   * @param total places
   * @param each places that one user may have at once
   */
  constructor(total: number, each: number) {
    this.#total = total;
    this.#each = each;
  }

  /**
   * Runs the work in the user's turn.
   * @param signal ends the wait, but not the work
   * @throws the signal's reason; any error of the work
   */
  async run<T>(user: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#turn(user, signal);
    try {
      return await work();
    } finally {
      this.#places -= 1;
      this.#running.set(user, this.#runningOf(user) - 1);
      if (this.#runningOf(user) === 0) this.#running.delete(user);
      this.#beginNext();
    }
  }

  async #turn(user: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        begin: () => {
          signal.removeEventListener('abort', leave);
          resolve();
        },
      };
      const leave = () => {
        this.#leave(user, waiter);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.set(user, [...(this.#waiting.get(user) ?? []), waiter]);
      this.#beginNext();
    });
  }

  #leave(user: string, waiter: Waiter): void {
    const left = (this.#waiting.get(user) ?? []).filter((other) => other !== waiter);
    if (left.length > 0) this.#waiting.set(user, left);
    else this.#waiting.delete(user);
  }

  #beginNext(): void {
    while (this.#places < this.#total) {
      const user = this.#next();
      const waiter = user === undefined ? undefined : this.#waiting.get(user)?.[0];
      if (user === undefined || waiter === undefined) return;
      const left = this.#waiting.get(user)?.slice(1) ?? [];
      // Behind the others who wait.
      this.#waiting.delete(user);
      if (left.length > 0) this.#waiting.set(user, left);
      this.#places += 1;
      this.#running.set(user, this.#runningOf(user) + 1);
      waiter.begin();
    }
  }

  #next(): string | undefined {
    const [next] = [...this.#waiting.keys()]
      .filter((user) => this.#runningOf(user) < this.#each)
      .toSorted((a, b) => this.#runningOf(a) - this.#runningOf(b));
    return next;
  }

  #runningOf(user: string): number {
    return this.#running.get(user) ?? 0;
  }
}
