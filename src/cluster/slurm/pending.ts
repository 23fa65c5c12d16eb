import { formatOf, readRows } from './columns.js';

/** A job that waits, as Slurm will choose among them. */
export interface PendingJob {
  slurmJobId: number;
  /** One, or several where the first place that is free will do. */
  partitions: string[];
  /** The higher, the sooner. */
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

/** Reasons that have nothing to do with room: whoever waits behind such a job starts before it (squeue(1), JOB REASON CODES). */
const waitsForElse = /^(JobHeld|BeginTime|Dependency|Assoc|QOS|launch_failed)/;

/**
 * How many of them start before that job in its partition, as far as can be told: in Slurm's order, leaving out what does not wait for
 * room alone.
 * @param slurmJobId null for one that is not with Slurm yet, which comes last
 */
export function positionAmong(
  pending: readonly PendingJob[],
  slurmJobId: number | null,
  partition: string,
): number {
  const own = pending.find((job) => job.slurmJobId === slurmJobId);
  // It has started meanwhile.
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
