import { expect, test } from '@jest/globals';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { FairTurns } from '../../src/fair-turns.js';

const forever = new AbortController().signal;

/** Work that lasts until the test ends it. */
class Works {
  readonly begun: string[] = [];
  readonly #ends = new Map<string, () => void>();

  constructor(readonly turns: FairTurns) {}

  async ask(user: string, name: string, signal = forever): Promise<void> {
    await this.turns.run(user, signal, () => {
      this.begun.push(name);
      return new Promise<void>((resolve) => this.#ends.set(name, resolve));
    });
  }

  async end(name: string): Promise<void> {
    this.#ends.get(name)?.();
    await nextTurn();
  }
}

test('no user has more places than allowed, and together they have no more than all', async () => {
  const works = new Works(new FairTurns(3, 2));
  for (const name of ['a1', 'a2', 'a3', 'b1', 'c1']) void works.ask(name.slice(0, 1), name);
  await nextTurn();
  expect(works.begun).toEqual(['a1', 'a2', 'b1']);
  await works.end('b1');
  expect(works.begun.slice(3)).toEqual(['c1']);
  await works.end('a1');
  expect(works.begun.slice(4)).toEqual(['a3']);
});

test('a free place goes to the user with the fewest, then to the one who waited longest', async () => {
  const works = new Works(new FairTurns(2, 2));
  for (const name of ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1'])
    void works.ask(name.slice(0, 1), name);
  await nextTurn();
  for (const ended of ['a1', 'b1', 'c1', 'a2']) await works.end(ended);
  expect(works.begun).toEqual(['a1', 'a2', 'b1', 'c1', 'b2', 'a3']);
});

test('whoever leaves the queue takes no place, and failed work gives its own back', async () => {
  const works = new Works(new FairTurns(1, 1));
  const leaving = new AbortController();
  void works.ask('a', 'a1');
  const left = works.ask('b', 'b1', leaving.signal);
  void works.ask('c', 'c1');
  leaving.abort(new Error('left'));
  await expect(left).rejects.toThrow('left');
  await works.end('a1');
  expect(works.begun).toEqual(['a1', 'c1']);
  const failed = works.turns.run('a', forever, () => Promise.reject(new Error('failed')));
  void works.ask('b', 'b2');
  await works.end('c1');
  await expect(failed).rejects.toThrow('failed');
  await nextTurn();
  expect(works.begun.at(-1)).toBe('b2');
});
