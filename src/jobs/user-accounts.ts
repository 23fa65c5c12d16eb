import { accountOf, type AccountLimits } from '../slurm/accounts.js';
import type { OperatorClient } from '../slurm/client.js';

/** Slurm's account of each user, brought up to date with their limits before a job is handed over. */
export class UserAccounts {
  /** The limits that each was last given. */
  readonly #set = new Map<string, string>();

  constructor(
    private readonly slurm: Pick<OperatorClient, 'setAccount'>,
    /** What a user's running jobs may have, for Slurm to keep them to it; undefined for the box's owner. */
    private readonly limitsOf: (user: string) => AccountLimits | undefined,
  ) {}

  /** @returns undefined for who has no limits. @throws SlurmError */
  readonly accountFor = async (user: string): Promise<string | undefined> => {
    const limits = this.limitsOf(user);
    if (limits === undefined) return undefined;
    const account = accountOf(user);
    const wanted = JSON.stringify(limits);
    if (this.#set.get(account) !== wanted) {
      await this.slurm.setAccount(account, limits);
      this.#set.set(account, wanted);
    }
    return account;
  };
}
