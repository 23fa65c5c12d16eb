import { randomBytes } from 'node:crypto';
import type { GpuChoice } from '../cluster/gpus/request.js';
import type { Database } from '../db/database.js';
import { onlyJobOf } from '../outputs/experiment.js';
import type { Job, JobId, JobRequest, JobState } from './job.js';
import { columns, toJob, toStored, type JobRow } from './job-row.js';

/** Makes a random comment, which no other job of this or an earlier Slurm has. */
export function newComment(): string {
  return `jobrunner:${randomBytes(16).toString('hex')}`;
}

export interface NewJob {
  user: string;
  unixUser: string | null;
  request: JobRequest;
  gpus: GpuChoice | null;
  submittedAt: number;
  idempotencyKey: string | undefined;
  requestHash: string;
  dedupHash: string;
}

/**
 * Stores a job as SUBMITTING. Its experiment and script need the number: see {@link completeJob}.
 */
export function insertJob(db: Database, job: NewJob): JobId {
  const { request } = job;
  const row = {
    user: job.user,
    unix_user: job.unixUser,
    comment: newComment(),
    experiment_id: '',
    request: JSON.stringify(request),
    state: 'SUBMITTING',
    submitted_at: job.submittedAt,
    priority: request.priority,
    gres: job.gpus?.gres ?? null,
    gpu_shards: toStored(job.gpus?.gpu_shards ?? null),
    command_key: request.command_key,
    name: request.name,
    dataset_sha: request.dataset_sha ?? null,
    idempotency_key: job.idempotencyKey ?? null,
    request_hash: job.requestHash,
    dedup_hash: job.dedupHash,
  };
  const names = Object.keys(row);
  const values = names.map((name) => `@${name}`);
  const sql = `INSERT INTO jobs (${names.join(', ')}) VALUES (${values.join(', ')})`;
  return Number(db.prepare(sql).run(row).lastInsertRowid) as JobId;
}

export function completeJob(db: Database, id: JobId, experimentId: string, script: string): void {
  db.prepare('UPDATE jobs SET experiment_id = ? WHERE job_id = ?').run(experimentId, id);
  db.prepare('INSERT INTO job_scripts (job_id, script) VALUES (?, ?)').run(id, script);
}

export function findJob(db: Database, id: JobId): Job | undefined {
  const row = db.prepare<[number], JobRow>(`SELECT ${columns} FROM jobs WHERE job_id = ?`).get(id);
  return row && toJob(row);
}

export function findByIdempotencyKey(
  db: Database,
  key: string,
): { job: Job; requestHash: string } | undefined {
  const row = db
    .prepare<[string], JobRow & { request_hash: string }>(
      `SELECT ${columns}, request_hash FROM jobs WHERE idempotency_key = ?`,
    )
    .get(key);
  return row && { job: toJob(row), requestHash: row.request_hash };
}

/**
 * Finds the user's newest job with that hash that is live or has completed; a failed one may be
 * tried again.
 */
export function findDuplicate(db: Database, user: string, dedupHash: string): Job | undefined {
  const row = db
    .prepare<[string, string], JobRow>(
      `SELECT ${columns} FROM jobs WHERE dedup_hash = ? AND user = ? AND (terminal = 0 OR state = 'COMPLETED')
       ORDER BY job_id DESC LIMIT 1`,
    )
    .get(dedupHash, user);
  return row && toJob(row);
}

export function scriptOf(db: Database, id: JobId): string | undefined {
  return db
    .prepare<[number], { script: string }>('SELECT script FROM job_scripts WHERE job_id = ?')
    .get(id)?.script;
}

export interface JobFilter {
  /** Undefined for everybody's. */
  user?: string | undefined;
  state?: string | undefined;
  experimentId?: string | undefined;
  limit: number;
  before?: number | undefined;
}

/** Lists jobs, newest first. */
export function listJobs(db: Database, filter: JobFilter): Job[] {
  return db
    .prepare<[Record<string, unknown>], JobRow>(
      `SELECT ${columns} FROM jobs
       WHERE (@user IS NULL OR user = @user) AND (@state IS NULL OR state = @state) AND (@experimentId IS NULL OR experiment_id = @experimentId)
         AND (@before IS NULL OR job_id < @before)
       ORDER BY job_id DESC LIMIT @limit`,
    )
    .all({
      user: filter.user ?? null,
      state: filter.state ?? null,
      experimentId: filter.experimentId ?? null,
      before: filter.before ?? null,
      limit: filter.limit,
    })
    .map(toJob);
}

export function jobsOfExperiment(db: Database, experimentId: string): Job[] {
  const only = onlyJobOf(experimentId);
  if (only !== undefined) return [findJob(db, only as JobId) ?? []].flat();
  return db
    .prepare<[string], JobRow>(`SELECT ${columns} FROM jobs WHERE experiment_id = ?`)
    .all(experimentId)
    .map(toJob);
}

/** Reads the jobs that may still change, oldest first; see live-jobs.ts, which keeps them. */
export function liveJobs(db: Database): Job[] {
  return db
    .prepare<[], JobRow>(`SELECT ${columns} FROM jobs WHERE terminal = 0 ORDER BY job_id`)
    .all()
    .map(toJob);
}

/** Counts those jobs by state. */
export function countStates(
  db: Database,
  ids: readonly JobId[],
): { state: JobState; terminal: boolean; count: number }[] {
  return db
    .prepare<[string], { state: JobState; terminal: number; count: number }>(
      `SELECT state, terminal, count(*) AS count FROM jobs
       WHERE job_id IN (SELECT value FROM json_each(?)) GROUP BY state, terminal`,
    )
    .all(JSON.stringify(ids))
    .map((row) => ({ ...row, terminal: row.terminal === 1 }));
}

export function isDatasetInUse(db: Database, sha: string): boolean {
  return (
    db.prepare('SELECT 1 FROM jobs WHERE dataset_sha = ? AND terminal = 0 LIMIT 1').get(sha) !==
    undefined
  );
}

/** Counts the jobs that name a dataset, and lists the newest ones, at most `limit`. */
export function jobsOfDataset(
  db: Database,
  sha: string,
  limit: number,
): { count: number; newest: JobId[] } {
  const count = db
    .prepare<[string], number>('SELECT count(*) FROM jobs WHERE dataset_sha = ?')
    .pluck()
    .get(sha);
  const newest = db
    .prepare<[string, number], JobId>(
      'SELECT job_id FROM jobs WHERE dataset_sha = ? ORDER BY job_id DESC LIMIT ?',
    )
    .pluck()
    .all(sha, limit);
  return { count: count ?? 0, newest };
}

export type JobUpdate = Partial<Omit<Job, 'job_id' | 'experiment_id' | 'request' | 'submitted_at'>>;

export function updateJob(db: Database, id: JobId, update: JobUpdate): void {
  const names = Object.keys(update);
  if (names.length === 0) return;
  const values = Object.entries(update).map(([name, value]) => [name, toStored(value)] as const);
  const assignments = names.map((name) => `${name} = @${name}`).join(', ');
  db.prepare(`UPDATE jobs SET ${assignments} WHERE job_id = @job_id`).run({
    ...Object.fromEntries(values),
    job_id: id,
  });
}

/**
 * Ends the live jobs that have this number of Slurm's, but one: Slurm gave it out anew, so it has
 * lost them.
 * @returns the ended jobs
 */
export function endFormerHolders(
  db: Database,
  except: JobId,
  slurmJobId: number,
  now: number,
): JobId[] {
  const ids = db
    .prepare<[number, number], JobId>(
      'SELECT job_id FROM jobs WHERE slurm_job_id = ? AND terminal = 0 AND job_id <> ?',
    )
    .pluck()
    .all(slurmJobId, except);
  for (const id of ids)
    updateJob(db, id, {
      state: 'NODE_FAIL',
      terminal: true,
      failure: 'node',
      message: `Slurm gave its number ${slurmJobId} to another job, so it has lost this one: its state was lost or restored; rerun it`,
      ended_at: now,
    });
  return ids;
}

/** Tells whether a job, live or ended, has this comment. */
export function hasComment(db: Database, comment: string): boolean {
  return db.prepare('SELECT 1 FROM jobs WHERE comment = ?').get(comment) !== undefined;
}

/** Returns the greatest number that Slurm has given a job; 0 for none. */
export function lastSlurmJob(db: Database): number {
  const last = 'SELECT max(coalesce(slurm_job_id, 0), coalesce(moved_from, 0)) AS number FROM jobs';
  return (
    db.prepare<[], number>(`SELECT coalesce(max(number), 0) FROM (${last})`).pluck().get() ?? 0
  );
}

/** Deletes the job with its script. */
export function deleteJob(db: Database, id: JobId): void {
  db.prepare('DELETE FROM jobs WHERE job_id = ?').run(id);
}

/** Counts all jobs, ended ones too, by their state. */
export function countByState(db: Database): { state: string; count: number }[] {
  return db
    .prepare<[], { state: string; count: number }>(
      'SELECT state, count(*) AS count FROM jobs GROUP BY state',
    )
    .all();
}

/** Counts the live jobs in the database itself. @throws Error when it cannot be read. */
export function countLive(db: Database): number {
  return db
    .prepare<[], number>('SELECT count(*) FROM jobs WHERE terminal = 0')
    .pluck()
    .get() as number;
}
