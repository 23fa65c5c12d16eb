import { BOX_OWNER } from '../auth/caller.js';
import type { Database } from '../db/database.js';
import { AppError } from '../errors.js';
import {
  MAX_JOB_USERS,
  OWNER_UNIX_USER,
  unixUserName,
  type UnixUser,
} from '../config/unix-users.js';

/** @param number of the Unix user that there is not */
function remedyFor(number: number): string {
  return number > MAX_JOB_USERS
    ? `there can be no more than ${MAX_JOB_USERS}`
    : `its administrator starts JobRunner with JR_JOB_USERS=${Math.min(number + 99, MAX_JOB_USERS)}, workers too`;
}

/**
 * Which Unix user each of our users' jobs run as: what keeps them out of one another's folders and processes. The box's owner's is
 * `runner`; everybody else, and each way in, is given one of those of docker/make-users.sh with their first job, for good.
 */
export class JobUsers {
  /** @param users those there are on this machine, by name */
  constructor(
    private readonly db: Database,
    private readonly users: ReadonlyMap<string, UnixUser>,
  ) {}

  /** @throws AppError unprocessable when all have been given away. */
  of(user: string): UnixUser {
    if (user === BOX_OWNER) return this.named(OWNER_UNIX_USER);
    const number = this.#numberOf(user) ?? this.#give(user);
    return this.named(unixUserName(number));
  }

  /** Null for a user who has had no job yet. */
  nameOf(user: string): string | null {
    if (user === BOX_OWNER) return OWNER_UNIX_USER;
    const number = this.#numberOf(user);
    return number === undefined ? null : unixUserName(number);
  }

  named(name: string): UnixUser {
    const found = this.users.get(name);
    if (found === undefined)
      throw new AppError(
        'unprocessable',
        `the Unix user ${name}, which this job is to run as, is not there: its machine’s administrator starts JobRunner with JR_JOB_USERS as large as before`,
      );
    return found;
  }

  #numberOf(user: string): number | undefined {
    return this.db
      .prepare<[string], { number: number }>('SELECT number FROM job_users WHERE user = ?')
      .get(user)?.number;
  }

  #give(user: string): number {
    const { db } = this;
    const last = db
      .prepare<[], { number: number | null }>('SELECT max(number) AS number FROM job_users')
      .get();
    const number = (last?.number ?? 0) + 1;
    if (!this.users.has(unixUserName(number)))
      throw new AppError(
        'unprocessable',
        `the ${number - 1} Unix users of this machine that jobs run as have all been given to others: ${remedyFor(number)}`,
      );
    db.prepare('INSERT INTO job_users (user, number) VALUES (?, ?)').run(user, number);
    return number;
  }
}
