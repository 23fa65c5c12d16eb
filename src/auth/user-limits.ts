import type { Database } from '../db/database.js';
import { AppError, fieldError } from '../errors.js';
import { OWNER, isOwnerOrIngest } from './caller.js';
import type { UserLimits, UserView } from './replies.js';

export type { UserLimits } from './replies.js';

export type LimitsChange = { [name in keyof UserLimits]?: UserLimits[name] | null | undefined };

/** Things that a refusal names. */
const maxLargest = 5;

/** Bytes of a dataset on the disk. The tree of a plain file is another name of the file. */
const datasetBytes = "size + CASE format WHEN 'file' THEN 0 ELSE tree_bytes END";

const names = ['max_jobs', 'max_running', 'max_gpus', 'max_stored_bytes'] as const;

export interface LimitsParts {
  db: Database;
  /** Limits of users who have none of their own. */
  everybody: UserLimits;
  /** Whether this service manages Slurm's accounts; only then can it limit running jobs. */
  canLimitRunning: boolean;
  /** The Unix user of their jobs; null before their first job, and on an external cluster. */
  unixUserOf: (user: string) => string | null;
}

/**
 * Keeps the limits of each user and counts their usage. The owner and ingest sources have none.
 */
export class Limits {
  readonly #parts: LimitsParts;

  constructor(parts: LimitsParts) {
    this.#parts = parts;
  }

  of(user: string): UserLimits {
    if (isOwnerOrIngest(user))
      return { max_jobs: 0, max_running: 0, max_gpus: 0, max_stored_bytes: 0 };
    const own = this.#own(user);
    const limits = { ...this.#parts.everybody };
    for (const name of names) limits[name] = own?.[name] ?? limits[name];
    return limits;
  }

  /**
   * Changes a user's limits. @param change null resets a limit to the default; undefined keeps it
   */
  set(user: string, change: LimitsChange): UserLimits {
    if (user === OWNER) throw fieldError('conflict', 'user', 'the owner has no limits');
    for (const name of ['max_running', 'max_gpus'] as const)
      if (change[name] && !this.#parts.canLimitRunning)
        throw fieldError(
          'not_supported',
          name,
          'the external cluster’s associations (sacctmgr) limit running jobs; leave this out',
        );
    const own = this.#own(user);
    const row = Object.fromEntries(
      names.map((name) => [
        name,
        change[name] === undefined ? (own?.[name] ?? null) : change[name],
      ]),
    );
    this.#parts.db
      .prepare(
        `INSERT OR REPLACE INTO user_limits (user, max_jobs, max_running, max_gpus, max_stored_bytes)
         VALUES (@user, @max_jobs, @max_running, @max_gpus, @max_stored_bytes)`,
      )
      .run({ user, ...row });
    return this.of(user);
  }

  /** Deletes a user's own limits. */
  deleteOf(user: string): void {
    this.#parts.db.prepare('DELETE FROM user_limits WHERE user = ?').run(user);
  }

  /** Lists all users who have a token, a job or limits of their own. */
  list(): UserView[] {
    const rows = this.#parts.db
      .prepare<[], { user: string }>(
        'SELECT user FROM tokens UNION SELECT user FROM jobs UNION SELECT user FROM user_limits ORDER BY user',
      )
      .all();
    return rows.map(({ user }) => this.view(user));
  }

  view(user: string): UserView {
    const jobs = this.#jobs(user);
    return {
      user,
      unix_user: this.#parts.unixUserOf(user),
      limits: this.of(user),
      ...jobs,
      stored_bytes: this.storedBytes(user),
    };
  }

  /** @throws AppError limit_reached when the user has as many jobs as allowed */
  ensureRoomForJob(user: string): void {
    const { max_jobs: limit } = this.of(user);
    if (limit > 0 && this.#jobs(user).jobs >= limit)
      throw new AppError(
        'limit_reached',
        `you have ${limit} jobs queued or running, the most allowed: wait for one or cancel one`,
        { details: { limit: 'max_jobs', max: limit } },
      );
  }

  /** Bytes that the user may still store; Infinity without a limit. */
  roomFor(user: string): number {
    const { max_stored_bytes: limit } = this.of(user);
    return limit === 0 ? Infinity : Math.max(0, limit - this.storedBytes(user));
  }

  /** @throws AppError quota_exceeded when these bytes would exceed the user's limit */
  ensureRoomFor(user: string, bytes: number): void {
    if (bytes <= this.roomFor(user)) return;
    const { max_stored_bytes: max } = this.of(user);
    const { datasets, jobs } = this.#stored(user);
    const used = datasets + jobs;
    throw new AppError(
      'quota_exceeded',
      `you have ${used} of ${max} bytes stored, and this takes ${bytes} more: delete datasets or jobs first`,
      {
        details: {
          limit: 'max_stored_bytes',
          max,
          used,
          asked: bytes,
          datasets_bytes: datasets,
          jobs_bytes: jobs,
          largest: this.#largest(user),
          remedy: ['DELETE /jobs/{id}', 'DELETE /datasets/{sha256}'],
        },
      },
    );
  }

  /** Returns the bytes of the user's datasets and jobs, as last measured. */
  storedBytes(user: string): number {
    const { datasets, jobs } = this.#stored(user);
    return datasets + jobs;
  }

  #own(user: string) {
    return this.#parts.db
      .prepare<[string], Record<keyof UserLimits, number | null>>(
        'SELECT max_jobs, max_running, max_gpus, max_stored_bytes FROM user_limits WHERE user = ?',
      )
      .get(user);
  }

  #jobs(user: string): { jobs: number; running: number } {
    const row = this.#parts.db
      .prepare<[string], { jobs: number; running: number | null }>(
        "SELECT count(*) AS jobs, sum(state = 'RUNNING') AS running FROM jobs WHERE user = ? AND terminal = 0",
      )
      .get(user);
    return { jobs: row?.jobs ?? 0, running: row?.running ?? 0 };
  }

  #stored(user: string): { datasets: number; jobs: number } {
    const { db } = this.#parts;
    const sum = (sql: string) =>
      db.prepare<[string], { bytes: number | null }>(sql).get(user)?.bytes ?? 0;
    return {
      datasets: sum(`SELECT sum(${datasetBytes}) AS bytes FROM datasets WHERE owner = ?`),
      jobs: sum('SELECT sum(bytes) AS bytes FROM job_disk_use WHERE user = ?'),
    };
  }

  /** Lists the largest jobs and datasets of the user, as the calls that delete them name them. */
  #largest(user: string): { job_id?: number; dataset_sha?: string; bytes: number }[] {
    const { db } = this.#parts;
    const jobs = db
      .prepare<[string, number], { job_id: number; bytes: number }>(
        `SELECT job_id, bytes FROM job_disk_use WHERE user = ?
         ORDER BY bytes DESC LIMIT ?`,
      )
      .all(user, maxLargest);
    const datasets = db
      .prepare<[string, number], { dataset_sha: string; bytes: number }>(
        `SELECT sha256 AS dataset_sha, ${datasetBytes} AS bytes FROM datasets WHERE owner = ?
         ORDER BY bytes DESC LIMIT ?`,
      )
      .all(user, maxLargest);
    return [...jobs, ...datasets].sort((a, b) => b.bytes - a.bytes).slice(0, maxLargest);
  }
}
