/**
 * Runs one piece of work at a time for each key, in the order of the calls; a failure does not stop
 * the next. The holder of a key must not wait for the same key again.
 */
export class KeyLock<K = string> {
  readonly #tails = new Map<K, Promise<unknown>>();

  async hold<T>(key: K, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#tails.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
    }
  }
}
