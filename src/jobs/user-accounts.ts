import { AppError } from '../errors.js';
import { KeyLock } from '../key-lock.js';
import { accountOf, OWNERS_ACCOUNT, type AccountLimits } from '../cluster/slurm/accounts.js';
import type { OperatorClient } from '../cluster/slurm/client.js';
import { SlurmError } from '../cluster/slurm/command.js';
import { OWNER_UNIX_USER } from '../config/unix-users.js';
import type { Job } from './job.js';

const noLimits: AccountLimits = { running: null, shards: null };

/**
 * Slurm's account of each user. Submitting a job, or changing the limits, brings the account up to
 * date with the user's limits and Unix user.
 */
export class UserAccounts {
  readonly #slurm: Pick<OperatorClient, 'setAccount'>;
  /** Returns the limits that Slurm enforces on a user's running jobs; undefined for the owner. */
  readonly #limitsOf: (user: string) => AccountLimits | undefined;

  /** Settings that each user's account was last given. */
  readonly #set = new Map<string, string>();
  /**
   * Serializes `sacctmgr`. Of several at once, even for different accounts, some fail and some lose
   * what they add (22.05, tried).
   */
  readonly #turns = new KeyLock<'sacctmgr'>();

  constructor(
    slurm: Pick<OperatorClient, 'setAccount'>,

    limitsOf: (user: string) => AccountLimits | undefined,
  ) {
    this.#slurm = slurm;
    this.#limitsOf = limitsOf;
  }

  /** Returns the job's account; undefined for a user without limits. @throws SlurmError */
  readonly accountFor = async (
    job: Pick<Job, 'user' | 'unix_user'>,
  ): Promise<string | undefined> => {
    const { user } = job;
    const unixUser = job.unix_user ?? OWNER_UNIX_USER;
    const limits = this.#limitsOf(user);
    if (limits === undefined && unixUser === OWNER_UNIX_USER) return undefined;
    const account = limits === undefined ? OWNERS_ACCOUNT : accountOf(user);
    const wanted = JSON.stringify([limits, unixUser]);
    const isSet = () => this.#set.get(user) === wanted;
    if (!isSet())
      await this.#turns.hold('sacctmgr', async () => {
        // The holder before may have set it.
        if (isSet()) return;
        await this.#slurm.setAccount(account, limits ?? noLimits, unixUser);
        this.#set.set(user, wanted);
      });
    return limits === undefined ? undefined : account;
  };

  /**
   * Applies changed limits to the user's queued jobs, too.
   * @param unixUser null before the user's first job
   * @throws AppError slurm_unavailable; the limits then count from the user's next job on
   */
  async limitsChanged(user: string, unixUser: string | null): Promise<void> {
    if (unixUser === null) return;
    try {
      await this.accountFor({ user, unix_user: unixUser });
    } catch (cause) {
      if (!(cause instanceof SlurmError)) throw cause;
      throw new AppError(
        'slurm_unavailable',
        `the limits of ${user} are set and count from the next job on, but Slurm does not answer: set them again for queued jobs`,
        { cause },
      );
    }
  }
}
