/** How often Slurm is asked, in milliseconds. */
export interface Pace {
  /** Between two looks while any job lives. */
  pollMs: number;
  /** While a job is on its way out. */
  closePollMs: number;
  /** From the word that a job ends to the first look for it. */
  afterEndMs: number;
  /** How long after that word its job is looked for closely, and how long after one was found, another that ended with it. */
  closelyForMs: number;
  stillCloselyForMs: number;
  /** Between two questions to accounting. */
  historyMs: number;
}

/** For a cluster of our own, which has nobody else to answer. */
export function ownPace(pollSeconds: number): Pace {
  return {
    pollMs: pollSeconds * 1000,
    closePollMs: 40,
    afterEndMs: 60,
    closelyForMs: 1500,
    stillCloselyForMs: 150,
    historyMs: 5000,
  };
}

/** For a site's, whose controller all its users wait for: at most five times as often as usual, and not for long. */
export function sitePace(pollSeconds: number): Pace {
  const pollMs = pollSeconds * 1000;
  return {
    pollMs,
    closePollMs: Math.max(200, pollMs / 5),
    afterEndMs: 200,
    closelyForMs: pollMs,
    stillCloselyForMs: 0,
    historyMs: Math.max(5000, 2 * pollMs),
  };
}
