import { formatOf, readRows } from './columns.js';

/** A waiting job, with the fields that decide Slurm's order. */
export interface PendingJob {
  slurmJobId: number;
  /** One partition, or several if the job may start in any of them. */
  partitions: string[];
  /** A higher value starts sooner. */
  priority: number;
  /** Slurm's own word, such as `Resources`. */
  reason: string;
}

const columns = [
  ['JobID', 20],
  ['Partition', 80],
  ['PriorityLong', 20],
  ['Reason', 64],
] as const;

export function pendingArguments(): string[] {
  return ['--noheader', '--all', '--states=PENDING', formatOf(columns)];
}

/** @throws Error on a line that cannot be read. */
export function parsePending(output: string): PendingJob[] {
  return readRows(columns, output).map((cell) => {
    const slurmJobId = /^(\d+)/.exec(cell.JobID)?.[1];
    if (slurmJobId === undefined || !/^\d+$/.test(cell.PriorityLong))
      throw new Error(`squeue printed a line that cannot be read: ${cell.line}`);
    return {
      slurmJobId: Number(slurmJobId),
      partitions: cell.Partition.split(','),
      priority: Number(cell.PriorityLong),
      reason: cell.Reason,
    };
  });
}

/**
 * Reasons other than lack of resources: jobs behind such a job start before it (squeue(1), JOB
 * REASON CODES).
 */
const waitsForElse = /^(JobHeld|BeginTime|Dependency|Assoc|QOS|launch_failed)/;

/**
 * Counts the jobs that start before that job in its partition, as far as is known. Follows Slurm's
 * order, and skips jobs that wait for anything but resources.
 * @param slurmJobId null for a job that Slurm does not have yet, which comes last
 */
export function positionAmong(
  pending: readonly PendingJob[],
  slurmJobId: number | null,
  partition: string,
): number {
  const own = pending.find((job) => job.slurmJobId === slurmJobId);
  // The job has started meanwhile.
  if (own === undefined && slurmJobId !== null) return 0;
  return pending.filter(
    (job) =>
      job !== own &&
      job.partitions.includes(partition) &&
      !waitsForElse.test(job.reason) &&
      (own === undefined ||
        job.priority > own.priority ||
        (job.priority === own.priority && job.slurmJobId < own.slurmJobId)),
  ).length;
}
