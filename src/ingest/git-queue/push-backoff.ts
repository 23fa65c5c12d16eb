/** Enough for dozens of runners; a higher level would only delay the last few. */
const maxLevel = 5;
/** Maximum pause, in milliseconds. */
const maxMs = 15_000;

/**
 * Spaces out the pushes of runners that share a branch and do not communicate. As in Ethernet, each
 * waits a random time before a try, and the range grows with each refusal.
 * The unit is the duration of a try here, since a rival can be faster during that time. The level
 * carries over from one change to the next. Once it has settled, about every second push succeeds,
 * however many runners there are.
 */
export class PushBackoff {
  readonly #random: () => number;

  #level = 0;
  #tryMs = 0;
  /** Counts of successful pushes, and of pushes that a rival overtook or the repository refused. */
  readonly pushes = { taken: 0, refused: 0 };

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Returns the pause before the next try, in milliseconds; 0 without rivals. */
  pauseMs(): number {
    return this.#random() * Math.min(maxMs, this.#tryMs * (2 ** this.#level - 1));
  }

  /** Lowers the level: no rival caused the last refusal. */
  refusedByRule(): void {
    this.#level = Math.max(0, this.#level - 1);
  }

  record(isTaken: boolean, ms: number): void {
    this.#tryMs = this.#tryMs === 0 ? ms : (this.#tryMs + ms) / 2;
    this.#level = isTaken ? Math.max(0, this.#level - 1) : Math.min(maxLevel, this.#level + 1);
    this.pushes[isTaken ? 'taken' : 'refused'] += 1;
  }
}
