/**
 * Runs `work` on each item, at most `limit` at a time, and yields each result as soon as it is
 * there. It asks the source for no more items than it can start, so the source may be endless.
 * An error of the source or of `work` ends the iteration. When the iteration has ended, for
 * whatever reason, no work is still running.
 * @param stop called at an early end, before the wait for running work
 */
export async function* bounded<Item, Result>(
  source: AsyncIterable<Item>,
  limit: number,
  work: (item: Item) => Promise<Result>,
  stop: () => void,
): AsyncGenerator<Result> {
  const items = source[Symbol.asyncIterator]();
  const running = new Set<Promise<Event<Item, Result>>>();
  let next: Promise<Event<Item, Result>> | undefined;
  let exhausted = false;
  try {
    for (;;) {
      const hasRoom = !exhausted && running.size < limit;
      if (hasRoom) next ??= handled(items.next().then((item) => ({ item })));
      if (!hasRoom && running.size === 0) return;
      const event = await Promise.race(hasRoom && next ? [...running, next] : running);
      if ('item' in event) {
        next = undefined;
        if (event.item.done === true) exhausted = true;
        else {
          const working: Promise<Event<Item, Result>> = handled(
            work(event.item.value).then((result) => ({ result, working })),
          );
          running.add(working);
        }
      } else {
        running.delete(event.working);
        yield event.result;
      }
    }
  } finally {
    stop();
    await Promise.allSettled([...running, next]);
    await items.return?.();
  }
}

type Event<Item, Result> =
  { item: IteratorResult<Item> } | { result: Result; working: Promise<Event<Item, Result>> };

/** Marks a rejection as handled: the promise may fail before anybody awaits it. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
