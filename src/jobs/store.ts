import { randomBytes } from 'node:crypto';
import type { Database } from '../db/database.js';
import type { Failure, Job, JobId, JobRequest, JobState } from './job.js';
import { readJobRequest } from './request.js';

interface Row {
  job_id: number;
  user: string;
  unix_user: string | null;
  slurm_job_id: number | null;
  comment: string;
  experiment_id: string;
  request: string;
  state: string;
  terminal: number;
  reason: string | null;
  exit_code: number | null;
  signal: number | null;
  failure: string | null;
  message: string | null;
  node_list: string | null;
  submitted_at: number;
  started_at: number | null;
  ended_at: number | null;
  priority: number;
  gres: string | null;
  gpu_indices: string | null;
  warning: string | null;
  attempts: number;
  next_attempt_at: number | null;
  moved_from: number | null;
  slurm_priority: number | null;
}

/** The script is left out: it can be large and is wanted alone. */
const columns =
  'job_id, user, unix_user, slurm_job_id, comment, experiment_id, request, state, terminal, reason, exit_code, signal, failure, message, node_list, submitted_at, started_at, ended_at, priority, gres, gpu_indices, warning, attempts, next_attempt_at, moved_from, slurm_priority';

function toJob(row: Row): Job {
  return {
    ...row,
    job_id: row.job_id as JobId,
    request: readJobRequest(row.request),
    state: row.state as JobState,
    terminal: row.terminal === 1,
    failure: row.failure as Failure | null,
    gpu_indices: row.gpu_indices === null ? null : (JSON.parse(row.gpu_indices) as number[]),
  };
}

/** Random, so that no other job of this or an earlier Slurm has it. */
export function newComment(): string {
  return `jobrunner:${randomBytes(16).toString('hex')}`;
}

export interface NewJob {
  user: string;
  unixUser: string | null;
  request: JobRequest;
  gres: string | null;
  submittedAt: number;
  idempotencyKey: string | undefined;
  requestHash: string;
  dedupHash: string;
}

/** Writes a job down as SUBMITTING. Its experiment and script, which need the number, follow by {@link completeJob}. */
export function insertJob(db: Database, job: NewJob): JobId {
  const { lastInsertRowid } = db
    .prepare(
      `INSERT INTO jobs (user, unix_user, comment, command_key, experiment_id, name, dataset_sha, request, script, state, submitted_at,
         idempotency_key, request_hash, dedup_hash, priority, gres)
       VALUES (@user, @unixUser, @comment, @commandKey, '', @name, @datasetSha, @request, '', 'SUBMITTING', @submittedAt,
         @idempotencyKey, @requestHash, @dedupHash, @priority, @gres)`,
    )
    .run({
      user: job.user,
      unixUser: job.unixUser,
      comment: newComment(),
      commandKey: job.request.command_key,
      name: job.request.name,
      datasetSha: job.request.dataset_sha ?? null,
      request: JSON.stringify(job.request),
      submittedAt: job.submittedAt,
      idempotencyKey: job.idempotencyKey ?? null,
      requestHash: job.requestHash,
      dedupHash: job.dedupHash,
      priority: job.request.priority,
      gres: job.gres,
    });
  return Number(lastInsertRowid) as JobId;
}

export function completeJob(db: Database, id: JobId, experimentId: string, script: string): void {
  db.prepare('UPDATE jobs SET experiment_id = ?, script = ? WHERE job_id = ?').run(
    experimentId,
    script,
    id,
  );
}

export function findJob(db: Database, id: JobId): Job | undefined {
  const row = db.prepare<[number], Row>(`SELECT ${columns} FROM jobs WHERE job_id = ?`).get(id);
  return row && toJob(row);
}

export function findByIdempotencyKey(
  db: Database,
  key: string,
): { job: Job; requestHash: string } | undefined {
  const row = db
    .prepare<[string], Row & { request_hash: string }>(
      `SELECT ${columns}, request_hash FROM jobs WHERE idempotency_key = ?`,
    )
    .get(key);
  return row && { job: toJob(row), requestHash: row.request_hash };
}

/** The user's newest job with that hash that is live or has completed: one that failed may be tried again. */
export function findDuplicate(db: Database, user: string, dedupHash: string): Job | undefined {
  const row = db
    .prepare<[string, string], Row>(
      `SELECT ${columns} FROM jobs WHERE dedup_hash = ? AND user = ? AND (terminal = 0 OR state = 'COMPLETED')
       ORDER BY job_id DESC LIMIT 1`,
    )
    .get(dedupHash, user);
  return row && toJob(row);
}

export function scriptOf(db: Database, id: JobId): string | undefined {
  return db
    .prepare<[number], { script: string }>('SELECT script FROM jobs WHERE job_id = ?')
    .get(id)?.script;
}

export interface JobFilter {
  /** Undefined: everybody's. */
  user?: string | undefined;
  state?: string | undefined;
  experimentId?: string | undefined;
  limit: number;
  before?: number | undefined;
}

/** Newest first. */
export function listJobs(db: Database, filter: JobFilter): Job[] {
  return db
    .prepare<[Record<string, unknown>], Row>(
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
  return db
    .prepare<[string], Row>(`SELECT ${columns} FROM jobs WHERE experiment_id = ?`)
    .all(experimentId)
    .map(toJob);
}

/** Jobs that may still change, oldest first. */
export function liveJobs(db: Database): Job[] {
  return db
    .prepare<[], Row>(`SELECT ${columns} FROM jobs WHERE terminal = 0 ORDER BY job_id`)
    .all()
    .map(toJob);
}

/** What the live jobs among those have or wait for of the GPUs. */
export function gpuClaims(
  db: Database,
  among: (job: Job) => boolean,
): Pick<Job, 'gres' | 'gpu_indices'>[] {
  return liveJobs(db).filter((job) => job.gres !== null && among(job));
}

/** How many of those jobs are in each state. */
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

export type JobUpdate = Partial<Omit<Job, 'job_id' | 'experiment_id' | 'request' | 'submitted_at'>>;

export function updateJob(db: Database, id: JobId, update: JobUpdate): void {
  const names = Object.keys(update);
  if (names.length === 0) return;
  const values = Object.fromEntries(
    Object.entries(update).map(([name, value]) => [
      name,
      value === true
        ? 1
        : value === false
          ? 0
          : Array.isArray(value)
            ? JSON.stringify(value)
            : value,
    ]),
  );
  const assignments = names.map((name) => `${name} = @${name}`).join(', ');
  db.prepare(`UPDATE jobs SET ${assignments} WHERE job_id = @job_id`).run({
    ...values,
    job_id: id,
  });
}

export function deleteJob(db: Database, id: JobId): void {
  db.prepare('DELETE FROM jobs WHERE job_id = ?').run(id);
}
