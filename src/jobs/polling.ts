/** How often Slurm is asked, in milliseconds. */
export interface PollIntervals {
  /** Between two looks while any job lives. */
  pollMs: number;
  /** While a job is on its way out. */
  burstPollMs: number;
  /** From the word that a job ends to the first look for it. */
  afterEndMs: number;
  /** How long after that word its job is looked for closely, and how long after one was found, another that ended with it. */
  burstMs: number;
  burstAfterEndMs: number;
  /** Between two questions to accounting. */
  historyMs: number;
}

/** For a cluster of our own, which has nobody else to answer. */
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

/** For an external cluster's, whose controller all its users wait for: at most five times as often as usual, and not for long. */
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
