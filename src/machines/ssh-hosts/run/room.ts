import { statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDiskFull } from '../../../errors.js';

/** The outputs of a job do not fit on the disk here. */
export class NoRoom extends Error {
  override readonly name = 'NoRoom';
  constructor(
    /** Bytes. */
    readonly needed: number,
    free: number,
  ) {
    super(`the outputs need ${needed} bytes, but only ${free} are free in JR_ROOT`);
  }
}

/** Returns the bytes that we may still write on the disk of that folder. */
export async function roomIn(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/**
 * The pause between two checks for room, doubled after each vain one: a quota may be full where the
 * disk is not.
 */
const shortestMs = 4000;
const longestMs = 60_000;

/**
 * Does repeatable work that writes below `folder`. When the disk is full, repeats it once there
 * seems to be room.
 * @param say is called once
 * @throws other errors of `work`; AbortError
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
          `the disk of JR_ROOT is full (${(error as Error).message}); the job’s outputs stay on its host until there is room, at most until its time limit; free some space`,
        );
      const needed = error instanceof NoRoom ? error.needed : 1;
      const wait = Math.min(shortestMs * 2 ** tries, longestMs);
      do await sleep(wait, undefined, { signal });
      while ((await roomIn(folder)) < needed);
    }
}
