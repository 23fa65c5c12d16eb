/**
 * Returns the line that the watch over jobs' connections writes into the log of a job that it ends.
 * @param daemons the daemons to which the connections lead
 */
export function heldConnectionsLine(
  slurmJobId: number,
  count: number,
  daemons: readonly string[],
): string {
  return `jobrunner: Slurm job ${slurmJobId} was ended: it held ${count} connections to ${daemons.join(', ')}`;
}

/** Returns why that watch ended the job, in plain words; undefined when the log does not say so. */
export function heldConnections(slurmJobId: number, logTail: string): string | undefined {
  const line = `^jobrunner: Slurm job ${slurmJobId} was ended: it (held \\d+ connections to [\\w, .-]+)$`;
  const [, held] = new RegExp(line, 'm').exec(logTail) ?? [];
  return held && `${held} and was ended; Slurm’s daemons are closed to jobs`;
}
