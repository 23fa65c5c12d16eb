/**
 * What `work` makes of each item, as soon as it is made, with at most `limit` of them under way: the source is asked for no more, so that it may be endless.
 * An error of either ends it. Nothing is under way any more when it has ended, whichever way.
 * @param stop called before what is under way is waited for at an early end
 */
export async function* bounded<Item, Result>(
  source: AsyncIterable<Item>,
  limit: number,
  work: (item: Item) => Promise<Result>,
  stop: () => void,
): AsyncGenerator<Result> {
  const items = source[Symbol.asyncIterator]();
  const running = new Set<Promise<{ result: Result; self: () => void }>>();
  let exhausted = false;
  try {
    while (!exhausted || running.size > 0) {
      if (!exhausted && running.size < limit) {
        const next = await items.next();
        if (next.done === true) exhausted = true;
        else {
          const promise: Promise<{ result: Result; self: () => void }> = work(next.value).then(
            (result) => ({ result, self: () => running.delete(promise) }),
          );
          // Waited for below; it may fail while the source is.
          promise.catch(() => undefined);
          running.add(promise);
        }
        if (!exhausted && running.size < limit) continue;
      }
      if (running.size === 0) continue;
      const { result, self } = await Promise.race(running);
      self();
      yield result;
    }
  } finally {
    stop();
    await Promise.allSettled(running);
    await items.return?.();
  }
}
