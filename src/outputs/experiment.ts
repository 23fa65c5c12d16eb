/**
 * Names the experiment of a job that was submitted without one. No request may choose such a name,
 * so it always means that one job.
 */
export function experimentOf(jobId: number): string {
  return `job-${jobId}`;
}

/** Returns the number of the only job with this experiment; undefined for a chosen name. */
export function onlyJobOf(experimentId: string): number | undefined {
  const number = /^job-([1-9]\d{0,14})$/.exec(experimentId)?.[1];
  return number === undefined ? undefined : Number(number);
}
