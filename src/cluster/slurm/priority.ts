/** The range of a job's priority; lower runs first. */
export const priorityRange = { least: 0, most: 1000, usual: 100 } as const;

/**
 * `priority/basic` gives each job one less than the one before: first in, first out. Levels lie as far apart as Slurm keeps jobs
 * (`MaxJobCount`), and no further: each start of slurmctld goes on below the lowest priority that it finds, of 4,294,967,295 in all.
 * A nice value counts when a job is submitted, not when it is released; a later change of it would put the job behind all others
 * of its level.
 */
export function niceOf(priority: number): number {
  return priority * 100_000;
}
