import type { Database } from '../db/database.js';
import type { JobId } from '../jobs/job.js';
import { queueStateSql, type QueueState } from './state.js';

/** Data that the queue server’s API keeps beside the job itself. */
export interface QueueRow {
  uuid: string;
  job_id: JobId;
  competition_id: string;
  project_id: string;
  /** Seconds. */
  expected_time: number;
}

const columns = 'uuid, job_id, competition_id, project_id, expected_time';

export function insertRow(db: Database, row: QueueRow): void {
  db.prepare(
    `INSERT INTO queue_jobs (${columns}) VALUES (@uuid, @job_id, @competition_id, @project_id, @expected_time)`,
  ).run(row);
}

export function findByUuid(db: Database, uuid: string): QueueRow | undefined {
  return db
    .prepare<[string], QueueRow>(`SELECT ${columns} FROM queue_jobs WHERE uuid = ?`)
    .get(uuid);
}

export function findByJob(db: Database, id: JobId): QueueRow | undefined {
  return db
    .prepare<[number], QueueRow>(`SELECT ${columns} FROM queue_jobs WHERE job_id = ?`)
    .get(id);
}

export interface QueueFilter {
  /** Undefined: all users. */
  user?: string | undefined;
  status?: QueueState | undefined;
  limit: number;
}

/** Lists jobs, newest first. */
export function listRows(db: Database, filter: QueueFilter): QueueRow[] {
  return db
    .prepare<[Record<string, unknown>], QueueRow>(
      `SELECT ${columns} FROM queue_jobs JOIN jobs USING (job_id)
       WHERE (@user IS NULL OR user = @user) AND (@status IS NULL OR ${queueStateSql} = @status)
       ORDER BY job_id DESC LIMIT @limit`,
    )
    .all({ user: filter.user ?? null, status: filter.status ?? null, limit: filter.limit });
}

/** Reads the users’ expected times of jobs that have not ended, in seconds. */
export function expectedTimes(db: Database): Map<JobId, number> {
  const rows = db
    .prepare<[], QueueRow>(
      `SELECT ${columns} FROM queue_jobs JOIN jobs USING (job_id) WHERE terminal = 0`,
    )
    .all();
  return new Map(rows.map((row) => [row.job_id, row.expected_time]));
}
