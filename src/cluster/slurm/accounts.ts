import type { RunCommand } from './command.js';

/** Limits of all jobs of an account together; null for no limit. */
export interface AccountLimits {
  running: number | null;
  /** Shares of GPUs. */
  shards: number | null;
}

/** The account of the owner and of the ingest sources; it has no limits. */
export const OWNERS_ACCOUNT = 'main';

/**
 * Names the Slurm account of a user. The user's jobs run as their Unix user here, and as
 * `jr-remote` on SSH hosts (sacctmgr(1)).
 */
export function accountOf(user: string): string {
  return `jr-${user}`;
}

/**
 * Makes the account, or updates its limits and Unix users. Slurm holds back jobs that would exceed
 * the limits.
 * @throws SlurmError
 */
export async function setAccount(
  run: RunCommand,
  account: string,
  limits: AccountLimits,
  unixUser: string,
): Promise<void> {
  const listed = await run('sacctmgr', [
    '--noheader',
    '--parsable2',
    'list',
    'associations',
    `account=${account}`,
    'format=user,grpjobs,grptres',
  ]);
  const lines = listed.split('\n').filter((line) => line !== '');
  const immediately = (...args: string[]) => run('sacctmgr', ['--immediate', ...args]);
  if (lines.length === 0)
    await immediately(
      ...['add', 'account', account, 'cluster=jobrunner'],
      ...['description=jobs of a user', 'organization=jobrunner'],
    );
  const there = lines.map((line) => line.split('|')[0]);
  const missing = [unixUser, 'jr-remote'].filter((user) => !there.includes(user));
  if (missing.length > 0) await immediately('add', 'user', missing.join(','), `account=${account}`);

  const wanted = [
    limits.running === null ? '' : String(limits.running),
    limits.shards === null ? '' : `gres/shard=${limits.shards}`,
  ].join('|');
  if (lines.find((line) => line.startsWith('|'))?.slice(1) === wanted) return;
  await immediately(
    ...['modify', 'account', account, 'set'],
    `GrpJobs=${limits.running ?? -1}`,
    `GrpTRES=gres/shard=${limits.shards ?? -1}`,
  );
}
