import { AppError } from '../errors.js';

/**
 * Maximum of forms of unidentified callers read at once, in total and per network; each takes up to
 * a megabyte.
 */
const maxTotal = 16;
const maxPerNetwork = 4;
/** Maximum time for one form, so that a slow sender does not keep its slot. */
const maxMs = 60_000;

/** Limits the cost of callers whose token is in the form itself and therefore still unknown. */
export class AnonymousUploads {
  #inAll = 0;
  readonly #ofNetwork = new Map<string, number>();

  /**
   * Reads a form within the limits.
   * @param network the caller’s network, see `networkOf`
   * @param read reads the form, until the signal fires
   * @throws AppError too_many_attempts when too many forms are being read; the signal’s reason
   */
  async hold<T>(network: string, read: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const ofNetwork = this.#ofNetwork.get(network) ?? 0;
    if (this.#inAll >= maxTotal || ofNetwork >= maxPerNetwork)
      throw new AppError(
        'too_many_attempts',
        'too many submissions without an Authorization header are being read: send the token as "Authorization: Bearer <token>", too, or try again in a moment',
        { details: { retry_after_s: 2 } },
      );
    this.#inAll += 1;
    this.#ofNetwork.set(network, ofNetwork + 1);
    const tooLong = new AbortController();
    const timer = setTimeout(() => {
      tooLong.abort(
        new AppError(
          'bad_request',
          `the form took longer than ${maxMs / 1000} s: send the token as "Authorization: Bearer <token>", too`,
        ),
      );
    }, maxMs);
    try {
      return await read(tooLong.signal);
    } finally {
      clearTimeout(timer);
      this.#inAll -= 1;
      const left = (this.#ofNetwork.get(network) ?? 1) - 1;
      if (left === 0) this.#ofNetwork.delete(network);
      else this.#ofNetwork.set(network, left);
    }
  }
}
