import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Milliseconds of work after which other events get their turn. */
const sliceMs = 5;

/**
 * Visits the items one after another; lets other events happen first, and whenever it takes long.
 */
export async function forEachInSlices<T>(
  items: Iterable<T>,
  visit: (item: T) => void | Promise<void>,
): Promise<void> {
  // The caller may have worked for long already.
  await nextTurn();
  let startedAt = performance.now();
  for (const item of items) {
    const pending = visit(item);
    if (pending) await pending;
    if (performance.now() - startedAt < sliceMs) continue;
    await nextTurn();
    startedAt = performance.now();
  }
}

/** Maps the items as {@link forEachInSlices} visits them. */
export async function mapInSlices<T, R>(
  items: Iterable<T>,
  transform: (item: T) => R,
): Promise<R[]> {
  const results: R[] = [];
  await forEachInSlices(items, (item) => void results.push(transform(item)));
  return results;
}
