import { OWNER } from '../auth/caller.js';
import type { Database } from '../db/database.js';
import { AppError } from '../errors.js';
import {
  MAX_JOB_USERS,
  OWNER_UNIX_USER,
  unixUserName,
  type UnixUser,
} from '../config/unix-users.js';

/** Says how to get more Unix users. @param number of the missing one */
function remedyFor(number: number): string {
  return number > MAX_JOB_USERS
    ? `there can be no more than ${MAX_JOB_USERS}`
    : `restart JobRunner and its workers with JR_JOB_USERS=${Math.min(number + 99, MAX_JOB_USERS)}`;
}

/**
 * Assigns the Unix user that each user's jobs run as, which keeps users out of one another's
 * folders and processes. The owner's jobs run as `runner`. Every other user, and each ingest
 * source, gets a user of docker/make-users.sh with the first job, for good.
 */
export class JobUsers {
  readonly #db: Database;
  readonly #users: ReadonlyMap<string, UnixUser>;

  /** @param users the Unix users of this machine, by name */
  constructor(db: Database, users: ReadonlyMap<string, UnixUser>) {
    this.#db = db;
    this.#users = users;
  }

  /** Assigns one at the user's first job. @throws AppError unprocessable when all are taken */
  of(user: string): UnixUser {
    if (user === OWNER) return this.named(OWNER_UNIX_USER);
    const number = this.#numberOf(user) ?? this.#give(user);
    return this.named(unixUserName(number));
  }

  /** Returns null before the user's first job. */
  nameOf(user: string): string | null {
    if (user === OWNER) return OWNER_UNIX_USER;
    const number = this.#numberOf(user);
    return number === undefined ? null : unixUserName(number);
  }

  named(name: string): UnixUser {
    const found = this.#users.get(name);
    if (found === undefined)
      throw new AppError(
        'unprocessable',
        `the job’s Unix user ${name} does not exist: restart JobRunner with JR_JOB_USERS as large as before`,
      );
    return found;
  }

  #numberOf(user: string): number | undefined {
    return this.#db
      .prepare<[string], { number: number }>('SELECT number FROM job_users WHERE user = ?')
      .get(user)?.number;
  }

  #give(user: string): number {
    const db = this.#db;
    const last = db
      .prepare<[], { number: number | null }>('SELECT max(number) AS number FROM job_users')
      .get();
    const number = (last?.number ?? 0) + 1;
    if (!this.#users.has(unixUserName(number)))
      throw new AppError(
        'unprocessable',
        `other users have all ${number - 1} Unix users that jobs run as: ${remedyFor(number)}`,
        { details: { limit: 'JR_JOB_USERS', max: number - 1 } },
      );
    db.prepare('INSERT INTO job_users (user, number) VALUES (?, ?)').run(user, number);
    return number;
  }
}
