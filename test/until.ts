import { inspect } from 'node:util';
import { setTimeout } from 'node:timers/promises';

/**
 * Polls `probe` until it returns a value other than undefined and false.
 * @param what the condition in words, for the error
 * @param probe may pass its latest finding, or a function that reads it, to `saw`; the error shows
 *   it
 * @param options.deadline in milliseconds; generous, since the machine may be busy
 * @returns that value
 * @throws when the deadline has passed, with the condition and the last finding
 */
export async function until<T>(
  what: string,
  probe: (saw: (finding: unknown) => void) => Awaitable<T | undefined | false>,
  { deadline = 90_000 }: { deadline?: number } = {},
): Promise<T> {
  let lastSeen: unknown;
  for (const start = Date.now(); ;) {
    const asked = Date.now();
    const value = await probe((finding) => (lastSeen = finding));
    if (value !== undefined && value !== false) return value;
    if (Date.now() - start > deadline) {
      const seen = lastSeen === undefined ? '' : `; last seen: ${inWords(lastSeen)}`;
      throw new Error(`not so within ${deadline / 1000} s: ${what}${seen}`);
    }
    // A slow probe gets a longer pause, so that polling leaves half of a busy machine to the
    // others.
    await setTimeout(Math.max(50, Date.now() - asked));
  }
}

type Awaitable<T> = T | Promise<T>;

/** Returns the end of a long text, since a log's latest lines are there. */
function inWords(finding: unknown): string {
  const found: unknown = typeof finding === 'function' ? (finding as () => unknown)() : finding;
  return (typeof found === 'string' ? found : inspect(found, { depth: 5 })).slice(-2000);
}
