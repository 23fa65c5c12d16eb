import type { Database } from '../../../db/database.js';

/** A job that a worker box runs or has run. */
export interface BoxJobRow {
  job_id: number;
  box: string;
  /** Whether its outputs have arrived. */
  delivered: boolean;
}

interface StoredRow {
  job_id: number;
  box: string;
  delivered: number;
}

const toRow = (row: StoredRow): BoxJobRow => ({ ...row, delivered: row.delivered === 1 });

/** A box takes the job up; whatever another one had of it counts no more. */
export function takeUp(db: Database, jobId: number, box: string): void {
  db.prepare(
    `INSERT INTO box_jobs (job_id, box, started, delivered) VALUES (?, ?, 0, 0)
     ON CONFLICT (job_id) DO UPDATE SET box = excluded.box, started = 0, delivered = 0`,
  ).run(jobId, box);
}

export function findBoxJob(db: Database, jobId: number): BoxJobRow | undefined {
  const row = db
    .prepare<[number], StoredRow>('SELECT job_id, box, delivered FROM box_jobs WHERE job_id = ?')
    .get(jobId);
  return row && toRow(row);
}

export function markDelivered(db: Database, jobId: number): void {
  db.prepare('UPDATE box_jobs SET delivered = 1 WHERE job_id = ?').run(jobId);
}

export function forget(db: Database, jobId: number): void {
  db.prepare('DELETE FROM box_jobs WHERE job_id = ?').run(jobId);
}

/** Those that wait in the queue again, of which no box is to bring anything any more. To be called after each look at the jobs. */
export function queuedAgain(db: Database): number[] {
  // A box may take a job up before we know that it has started.
  db.prepare(
    `UPDATE box_jobs SET started = 1
     WHERE started = 0 AND (SELECT state FROM jobs WHERE jobs.job_id = box_jobs.job_id) != 'PENDING'`,
  ).run();
  return db
    .prepare<[], { job_id: number }>(
      `SELECT job_id FROM box_jobs JOIN jobs USING (job_id)
       WHERE jobs.state = 'PENDING' AND started = 1 AND delivered = 0`,
    )
    .all()
    .map((row) => row.job_id);
}
