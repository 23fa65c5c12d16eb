import type { Logger } from 'pino';

/** Milliseconds after which a fault that lasts is logged again. */
const againMs = 10 * 60_000;

/** Logs a fault of a loop once, and again from time to time with its count, until it is over. */
export class RepeatedError {
  readonly #log: Pick<Logger, 'error' | 'info'>;
  readonly #message: string;
  readonly #now: () => number;
  #fault: string | undefined;
  #loggedAt = 0;
  #times = 0;

  /** @param message says what failed, in a sentence */
  constructor(log: Pick<Logger, 'error' | 'info'>, message: string, now: () => number = Date.now) {
    this.#log = log;
    this.#message = message;
    this.#now = now;
  }

  readonly failed = (error: unknown): void => {
    const fault = String(error);
    this.#times = fault === this.#fault ? this.#times + 1 : 1;
    if (fault === this.#fault && this.#now() - this.#loggedAt < againMs) return;
    this.#fault = fault;
    this.#loggedAt = this.#now();
    this.#log.error({ err: error, times: this.#times }, this.#message);
  };

  readonly succeeded = (): void => {
    if (this.#fault === undefined) return;
    this.#log.info({ times: this.#times }, `${this.#message}: this is over`);
    this.#fault = undefined;
  };
}
