import type { Database } from '../../db/database.js';
import type { Verdict } from '../failure.js';
import type { Failure, JobId } from '../job.js';
import type { DiskUse } from './measure.js';

/** Returns the users of jobs that were never measured. */
export function unmeasuredUsers(db: Database): string[] {
  return db
    .prepare<[], string>(
      'SELECT DISTINCT jobs.user FROM jobs LEFT JOIN job_disk_use USING (job_id) WHERE bytes IS NULL',
    )
    .pluck()
    .all();
}

/**
 * Returns the numbers of a user's next jobs after that one, with their last measured bytes; null
 * for none yet.
 */
export function measuredJobs(
  db: Database,
  user: string,
  after: number,
  limit: number,
): { id: JobId; bytes: number | null }[] {
  return db
    .prepare<[string, number, number], { id: JobId; bytes: number | null }>(
      `SELECT job_id AS id, bytes FROM jobs LEFT JOIN job_disk_use USING (job_id)
       WHERE jobs.user = ? AND job_id > ? ORDER BY job_id LIMIT ?`,
    )
    .all(user, after, limit);
}

/** Stores measures, except of jobs that were deleted meanwhile. */
export function putDiskUses(db: Database, uses: readonly (readonly [JobId, DiskUse])[]): void {
  const put = db.prepare(
    `INSERT INTO job_disk_use (job_id, user, bytes, log_bytes)
     SELECT job_id, user, @bytes, @logBytes FROM jobs WHERE job_id = @id
     ON CONFLICT (job_id) DO UPDATE SET bytes = @bytes, log_bytes = @logBytes`,
  );
  db.transaction(() => {
    for (const [id, { bytes, logBytes }] of uses) put.run({ id, bytes, logBytes });
  })();
}

/** Remembers why JobRunner ends a job. */
export function putStop(db: Database, id: JobId, { failure, message }: Verdict): void {
  db.prepare('INSERT OR REPLACE INTO job_stops (job_id, failure, message) VALUES (?, ?, ?)').run(
    id,
    failure,
    message,
  );
}

export function deleteStop(db: Database, id: JobId): void {
  db.prepare('DELETE FROM job_stops WHERE job_id = ?').run(id);
}

/** Returns why JobRunner ended the job; undefined if it did not. */
export function stopOf(db: Database, id: JobId): Verdict | undefined {
  return db
    .prepare<[number], { failure: Failure; message: string }>(
      'SELECT failure, message FROM job_stops WHERE job_id = ?',
    )
    .get(id);
}
