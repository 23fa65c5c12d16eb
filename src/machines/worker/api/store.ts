import type { Database } from '../../../db/database.js';

/** A job that a worker runs or has run. */
export interface WorkerJobRow {
  job_id: number;
  worker: string;
  /** True when its outputs have arrived. */
  delivered: boolean;
}

interface StoredRow {
  job_id: number;
  worker: string;
  delivered: number;
}

const toRow = (row: StoredRow): WorkerJobRow => ({ ...row, delivered: row.delivered === 1 });

/** Records that a worker runs the job; results of another worker no longer count. */
export function takeUp(db: Database, jobId: number, worker: string): void {
  db.prepare(
    `INSERT INTO worker_jobs (job_id, worker, started, delivered) VALUES (?, ?, 0, 0)
     ON CONFLICT (job_id) DO UPDATE SET worker = excluded.worker, started = 0, delivered = 0`,
  ).run(jobId, worker);
}

export function findWorkerJob(db: Database, jobId: number): WorkerJobRow | undefined {
  const row = db
    .prepare<[number], StoredRow>(
      'SELECT job_id, worker, delivered FROM worker_jobs WHERE job_id = ?',
    )
    .get(jobId);
  return row && toRow(row);
}

export function markDelivered(db: Database, jobId: number): void {
  db.prepare('UPDATE worker_jobs SET delivered = 1 WHERE job_id = ?').run(jobId);
}

export function forget(db: Database, jobId: number): void {
  db.prepare('DELETE FROM worker_jobs WHERE job_id = ?').run(jobId);
}

/**
 * Returns jobs that are queued again, whose workers must bring nothing more. Must be called after
 * each poll of the jobs.
 */
export function queuedAgain(db: Database): number[] {
  // A worker may begin a job before we know that it has started.
  db.prepare(
    `UPDATE worker_jobs SET started = 1
     WHERE started = 0 AND (SELECT state FROM jobs WHERE jobs.job_id = worker_jobs.job_id) != 'PENDING'`,
  ).run();
  return db
    .prepare<[], { job_id: number }>(
      `SELECT job_id FROM worker_jobs JOIN jobs USING (job_id)
       WHERE jobs.state = 'PENDING' AND started = 1 AND delivered = 0`,
    )
    .all()
    .map((row) => row.job_id);
}
