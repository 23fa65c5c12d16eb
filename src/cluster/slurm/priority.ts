/** Range of a job's priority; lower runs first. */
export const priorityRange = { min: 0, max: 1000, default: 100 } as const;

/**
 * Converts a priority to a nice value. `priority/basic` gives each job one less than the job
 * before: first in, first out. Levels are as far apart as the number of jobs that Slurm keeps
 * (`MaxJobCount`). They are no further apart, since each start of slurmctld continues below the
 * lowest priority it finds, of 4,294,967,295. A nice value counts at submission, not at release. A
 * later change would put the job behind all others of its level.
 */
export function niceOf(priority: number): number {
  return priority * 100_000;
}
