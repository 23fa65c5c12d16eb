import type { SlurmClient } from '../cluster/slurm/client.js';
import { SlurmError } from '../cluster/slurm/command.js';
import type { SlurmJob, SlurmRecord, UnreadJob } from '../cluster/slurm/job-record.js';
import type { Job, JobId } from './job.js';

/**
 * Finds Slurm's record of a job of ours, the latest of several. `unread` stands for an unreadable
 * record that may be the job's.
 */
export type FindRecord = (job: Job) => SlurmJob | 'unread' | undefined;

/** Returns the job's working directory. */
export type WorkDirOf = (id: JobId) => string;

/** Tolerance: Slurm's clock may be another machine's, and rounds differently. */
const graceMs = 60_000;

/**
 * Finds Slurm's record of a job by its comment and, once known, its number: a job can read
 * another's comment and submit something under it.
 * @param workDirOf left out where every record has its comment
 */
export function recordFinder(records: SlurmRecord[], workDirOf?: WorkDirOf): FindRecord {
  const byComment = new Map<string, SlurmJob[]>();
  const unread: UnreadJob[] = [];
  for (const record of records) {
    if ('isUnread' in record) {
      unread.push(record);
      continue;
    }
    const key = record.comment || `in ${record.workDir ?? ''}`;
    const same = byComment.get(key);
    if (same) same.push(record);
    else byComment.set(key, [record]);
  }
  return (job) => {
    const { job_id: id, comment, slurm_job_id: number } = job;
    const same =
      byComment.get(comment) ?? (workDirOf ? byComment.get(`in ${workDirOf(id)}`) : undefined);
    const found = same?.findLast((record) =>
      number === null ? !wasRefused(record) : record.slurmJobId === number,
    );
    return found ?? (unread.some((record) => mayBe(job, record, workDirOf)) ? 'unread' : undefined);
  };
}

/** Tells whether the record may be that job's, as far as it can be read. */
function mayBe(job: Job, record: UnreadJob, workDirOf?: WorkDirOf): boolean {
  const number = job.slurm_job_id ?? record.slurmJobId;
  if (record.slurmJobId !== null && record.slurmJobId !== number) return false;
  if (record.comment !== null) return record.comment === job.comment;
  return record.workDir === null || !workDirOf || record.workDir === workDirOf(job.job_id);
}

/**
 * Asks accounting for jobs that squeue does not know. It asks by number: accounting's list omits
 * jobs that never became eligible, or did only later. Jobs without a known number are sought in
 * that list.
 * @throws SlurmError
 */
export async function askAccounting(
  slurm: Pick<SlurmClient, 'history' | 'historyOf'>,
  jobs: Job[],
  workDirOf?: WorkDirOf,
): Promise<FindRecord> {
  const numbers = jobs.flatMap((job) => job.slurm_job_id ?? []);
  const unnumbered = jobs.filter((job) => job.slurm_job_id === null);
  const since = Math.min(...unnumbered.map((job) => job.submitted_at)) - graceMs;
  const [numbered, listed] = await Promise.all([
    numbers.length === 0 ? [] : slurm.historyOf(numbers),
    unnumbered.length === 0 ? [] : slurm.history(since),
  ]);
  const byNumber = recordFinder(numbered, workDirOf);
  const byList = recordFinder(listed, workDirOf);
  return (job) => (job.slurm_job_id === null ? byList(job) : byNumber(job));
}

/**
 * Returns the number to name the job by in Slurm, after checking that it is still this job's: a
 * Slurm that lost its state gives a number out again.
 * @throws SlurmError, of the kind `refused` when the number is another job's now
 */
export async function ownNumber(
  slurm: Pick<SlurmClient, 'commentOf'>,
  { job_id: id, comment }: Pick<Job, 'job_id' | 'comment'>,
  slurmJobId: number,
): Promise<number> {
  if ((await slurm.commentOf(slurmJobId)) !== comment)
    throw new SlurmError(
      'refused',
      `its number ${slurmJobId} is another job’s now, since Slurm’s state was lost or restored; job ${id} itself is gone`,
    );
  return slurmJobId;
}

/**
 * Tells whether Slurm refused the job. Slurm also keeps a record of a job that it refuses for its
 * resources ("Requested node configuration is not available").
 */
function wasRefused({ state, nodeList }: SlurmJob): boolean {
  return state === 'FAILED' && nodeList === null;
}
