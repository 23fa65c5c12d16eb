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

/** It may fail before it is waited for. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
