import { AppError } from '../errors.js';

/**
 * Maximum of forms of unidentified callers read at once, in total and per sender; each takes up to
 * a megabyte.
 */
const maxTotal = 16;
const maxPerSender = 4;
/** Maximum time for one form, so that a slow sender does not keep its slot. */
const maxMs = 60_000;
/** Time for which a form keeps its slot even while others wait for one. */
const graceMs = 5000;

const remedy = 'send the token as "Authorization: Bearer <token>", too';

interface Held {
  sender: string;
  since: number;
  end: (reason: AppError) => void;
}

/** Limits the cost of callers whose token is in the form itself and therefore still unknown. */
export class AnonymousUploads {
  readonly #now: () => number;
  /** The forms that are being read, the oldest first. */
  readonly #held = new Set<Held>();

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /**
   * Reads a form within the limits. A slow form ends when another one needs its slot, so that idle
   * forms shut nobody out.
   * @param sender its name, see `Senders`
   * @param read reads the form, until the signal fires
   * @throws AppError too_many_attempts when too many forms are being read; the signal’s reason
   */
  async hold<T>(sender: string, read: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#makeRoom(sender);
    const ending = new AbortController();
    const held = { sender, since: this.#now(), end: (reason: AppError) => ending.abort(reason) };
    this.#held.add(held);
    const timer = setTimeout(() => {
      held.end(
        new AppError('bad_request', `the form took longer than ${maxMs / 1000} s: ${remedy}`),
      );
    }, maxMs);
    try {
      return await read(ending.signal);
    } finally {
      clearTimeout(timer);
      this.#held.delete(held);
    }
  }

  /** Ends a slow form if there is no slot left. @throws AppError too_many_attempts */
  #makeRoom(sender: string): void {
    const slow = this.#inTheWayOf(sender);
    if (slow === undefined) return;
    const details = { retry_after_s: 2 };
    if (this.#now() - slow.since < graceMs)
      throw new AppError(
        'too_many_attempts',
        `too many submissions without an Authorization header are being read: ${remedy}, or try again in a moment`,
        { details },
      );
    this.#held.delete(slow);
    slow.end(
      new AppError(
        'too_many_attempts',
        `the form took longer than ${graceMs / 1000} s while others waited: ${remedy}, or try again in a moment`,
        { details },
      ),
    );
  }

  /**
   * Finds the oldest form of a sender that has no slot left: of this one, or else of the sender
   * with the most forms.
   */
  #inTheWayOf(sender: string): Held | undefined {
    const oldestFirst = [...this.#held];
    const ofSender = (name: string) => oldestFirst.filter((held) => held.sender === name);
    const own = ofSender(sender);
    if (own.length >= maxPerSender) return own[0];
    if (oldestFirst.length < maxTotal) return undefined;
    const [most] = oldestFirst
      .map((held) => ofSender(held.sender))
      .toSorted((a, b) => b.length - a.length);
    return most?.[0];
  }
}
