import { AppError } from '../errors.js';
import { KeyLock } from '../key-lock.js';
import { accountOf, OWNERS_ACCOUNT, type AccountLimits } from '../cluster/slurm/accounts.js';
import type { OperatorClient } from '../cluster/slurm/client.js';
import { SlurmError } from '../cluster/slurm/command.js';
import { OWNER_UNIX_USER } from '../config/unix-users.js';
import type { Job } from './job.js';

const noLimits: AccountLimits = { running: null, shards: null };

/** Slurm's account of each user, brought up to date with their limits and their Unix user before a job is handed over, and when the limits change. */
export class UserAccounts {
  /** What each was last given. */
  readonly #set = new Map<string, string>();
  /** Of several `sacctmgr` at once, also for different accounts, some fail and some lose what they add (22.05, tried). */
  readonly #turns = new KeyLock<'sacctmgr'>();

  constructor(
    private readonly slurm: Pick<OperatorClient, 'setAccount'>,
    /** What a user's running jobs may have, for Slurm to keep them to it; undefined for the box's owner. */
    private readonly limitsOf: (user: string) => AccountLimits | undefined,
  ) {}

  /** @returns undefined for who has no limits. @throws SlurmError */
  readonly accountFor = async (
    job: Pick<Job, 'user' | 'unix_user'>,
  ): Promise<string | undefined> => {
    const { user } = job;
    const unixUser = job.unix_user ?? OWNER_UNIX_USER;
    const limits = this.limitsOf(user);
    if (limits === undefined && unixUser === OWNER_UNIX_USER) return undefined;
    const account = limits === undefined ? OWNERS_ACCOUNT : accountOf(user);
    const wanted = JSON.stringify([limits, unixUser]);
    const isSet = () => this.#set.get(user) === wanted;
    if (!isSet())
      await this.#turns.hold('sacctmgr', async () => {
        // By whom it waited for.
        if (isSet()) return;
        await this.slurm.setAccount(account, limits ?? noLimits, unixUser);
        this.#set.set(user, wanted);
      });
    return limits === undefined ? undefined : account;
  };

  /**
   * Has changed limits count for the jobs that the user has queued, too.
   * @param unixUser null for who has had no job yet
   * @throws AppError slurm_unavailable; then they count from the user's next job on.
   */
  async limitsChanged(user: string, unixUser: string | null): Promise<void> {
    if (unixUser === null) return;
    try {
      await this.accountFor({ user, unix_user: unixUser });
    } catch (cause) {
      if (!(cause instanceof SlurmError)) throw cause;
      throw new AppError(
        'slurm_unavailable',
        `the limits of ${user} are set and count from the next job on, but Slurm could not be told now: set them again for the jobs that are queued`,
        { cause },
      );
    }
  }
}
