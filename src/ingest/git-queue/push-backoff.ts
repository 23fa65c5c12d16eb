/** Dozens of workers; more would only make the pauses of the few that are left at the end longer. */
const maxLevel = 5;
/** Never longer, in milliseconds. */
const maxMs = 15_000;

/**
 * Keeps those who push to one branch out of each other's way without a word between them: as in Ethernet, each waits a random time
 * before a try, of a length that grows with the refusals it meets. It is measured in how long a try takes here, since that is for
 * how long another can come first; and it is remembered from one change to the next, so that once it has settled every second push is taken, however many there are.
 */
export class PushBackoff {
  readonly #random: () => number;

  #level = 0;
  #tryMs = 0;
  /** So far: those that were taken, and those that others were faster than or the repository refused. */
  readonly pushes = { taken: 0, refused: 0 };

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** How long to wait before the next try, in milliseconds; 0 while nobody is in the way. */
  pauseMs(): number {
    return this.#random() * Math.min(maxMs, this.#tryMs * (2 ** this.#level - 1));
  }

  /** The last refusal was nobody's doing. */
  refusedByRule(): void {
    this.#level = Math.max(0, this.#level - 1);
  }

  record(isTaken: boolean, ms: number): void {
    this.#tryMs = this.#tryMs === 0 ? ms : (this.#tryMs + ms) / 2;
    this.#level = isTaken ? Math.max(0, this.#level - 1) : Math.min(maxLevel, this.#level + 1);
    this.pushes[isTaken ? 'taken' : 'refused'] += 1;
  }
}
