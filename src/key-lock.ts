/**
 * Lets one piece of work at a time run for each key, in the order asked, however the one before ended. Who holds a key must not wait
 * for it again.
 */
export class KeyLock<K = string> {
  private readonly tails = new Map<K, Promise<unknown>>();

  async hold<T>(key: K, work: () => Promise<T>): Promise<T> {
    const before = this.tails.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.tails.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.tails.get(key) === mine) this.tails.delete(key);
    }
  }
}
