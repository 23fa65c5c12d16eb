import type { SlurmJob, SlurmRecord } from '../cluster/slurm/job-record.js';

/**
 * Tells whether Slurm's record of a job that nobody cancelled here may be of one that its node
 * could not start. slurmctld queues such a job again when slurmd does not answer in time. Later
 * slurmd asks for that, too, which is refused for jobs that are submitted without permission to be
 * requeued. So slurmd cancels the job, as root ("Could not launch job … and not able to requeue
 * it", 22.05 and 24.11).
 */
export function mayBeFailedLaunch({ state, startedAt, restarts = 0 }: SlurmJob): boolean {
  return state === 'CANCELLED' && (startedAt !== null || restarts > 0);
}

/**
 * Tells whether the node could not start the job, by accounting's records of the job; undefined
 * while they do not say. Without a record of the cancellation, the last one is of the start.
 */
export function isFailedLaunch(
  records: readonly SlurmRecord[],
  comment: string,
): boolean | undefined {
  const last = records.findLast((record) => record.comment === comment);
  if (last === undefined || 'isUnread' in last) return undefined;
  if (last.state === 'NODE_FAIL') return true;
  return last.state === 'CANCELLED' ? last.cancelledBy === 0 : undefined;
}
