import type { Logger } from 'pino';

type Release = () => Promise<void> | void;

/** Closes opened parts in reverse order, each part even if another fails. */
export class Closing {
  readonly #log: Logger;

  readonly #releases: Release[] = [];

  constructor(log: Logger) {
    this.#log = log;
  }

  readonly add = (release: Release): void => {
    this.#releases.push(release);
  };

  readonly closeAll = async (): Promise<void> => {
    for (let release = this.#releases.pop(); release; release = this.#releases.pop()) {
      try {
        await release();
      } catch (error) {
        this.#log.error({ err: error }, 'a part did not close');
      }
    }
  };
}
