import { statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDiskFull } from '../../../errors.js';

/** What a job has left does not fit on the disk here. */
export class NoRoom extends Error {
  override readonly name = 'NoRoom';
  constructor(
    /** Bytes. */
    readonly needed: number,
    free: number,
  ) {
    super(`the outputs have ${needed} bytes, and ${free} are free in JR_ROOT`);
  }
}

/** Bytes that we may still write on the disk of that folder. */
export async function roomIn(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** Between two looks for room; twice as long after each that was in vain: a quota is full where the disk is not. */
const shortestMs = 4000;
const longestMs = 60_000;

/**
 * Does something that writes below `folder`, which does no harm when it is done again: where there is no room for it, it is, once
 * there seems to be.
 * @param say is told once
 * @throws what else `work` throws; AbortError
 */
export async function onceThereIsRoom<T>(
  folder: string,
  work: () => Promise<T>,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<T> {
  for (let tries = 0; ; tries++)
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof NoRoom) && !isDiskFull(error)) throw error;
      if (tries === 0)
        say(
          `the disk of JR_ROOT is full (${(error as Error).message}); what the job leaves stays on its host until there is room, at most to its time limit: free some space`,
        );
      const needed = error instanceof NoRoom ? error.needed : 1;
      const wait = Math.min(shortestMs * 2 ** tries, longestMs);
      do await sleep(wait, undefined, { signal });
      while ((await roomIn(folder)) < needed);
    }
}
