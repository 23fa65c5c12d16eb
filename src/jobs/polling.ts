/** Intervals of polling Slurm, in milliseconds. */
export interface PollIntervals {
  /** Between two polls while any job lives. */
  pollMs: number;
  /** Between two polls in a burst, while a job is ending. */
  burstPollMs: number;
  /** From the report that a job ends to the first poll for it. */
  afterEndMs: number;
  /**
   * Length of a burst after that report, and its remaining length once an ended job was found:
   * another may have ended with it.
   */
  burstMs: number;
  burstAfterEndMs: number;
  /** Between two queries of accounting. */
  historyMs: number;
}

/** Returns the intervals for a cluster of our own, whose controller serves nobody else. */
export function ownPollIntervals(pollSeconds: number): PollIntervals {
  return {
    pollMs: pollSeconds * 1000,
    burstPollMs: 40,
    afterEndMs: 60,
    burstMs: 1500,
    burstAfterEndMs: 150,
    historyMs: 5000,
  };
}

/**
 * Returns the intervals for an external cluster, whose controller serves all its users. A burst
 * polls at most five times as often as usual, and is short.
 */
export function externalPollIntervals(pollSeconds: number): PollIntervals {
  const pollMs = pollSeconds * 1000;
  return {
    pollMs,
    burstPollMs: Math.max(200, pollMs / 5),
    afterEndMs: 200,
    burstMs: pollMs,
    burstAfterEndMs: 0,
    historyMs: Math.max(5000, 2 * pollMs),
  };
}
