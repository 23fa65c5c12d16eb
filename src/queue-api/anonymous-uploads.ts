import { AppError } from '../errors.js';

/** So many forms of callers that are not known yet are read at once, in all and of one network; each takes up to a megabyte. */
const maxTotal = 16;
const maxPerNetwork = 4;
/** And no longer than this, so that one who sends slowly does not keep a place. */
const maxMs = 60_000;

/** Bounds what callers cost who have shown no token yet: theirs stands in the form itself. */
export class AnonymousUploads {
  #inAll = 0;
  readonly #ofNetwork = new Map<string, number>();

  /**
   * @param network the caller's, see `networkOf`
   * @param read reads the form, until the signal fires
   * @throws AppError too_many_attempts when too many are being read; the signal's reason.
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
