import type { RunCommand } from './command.js';

/** What all jobs of an account together may have at once; null for no limit. */
export interface AccountLimits {
  running: number | null;
  /** Shares of GPUs. */
  shards: number | null;
}

/** Slurm's account of a user. All jobs run as the same Unix users, so that a user of ours is an account there (sacctmgr(1)). */
export function accountOf(user: string): string {
  return `jr-${user}`;
}

/** The Unix users that jobs are submitted as. */
const submitters = ['runner', 'jr-remote'];

/**
 * Makes the account, or brings its limits up to date; Slurm holds jobs back that would go over them.
 * @throws SlurmError
 */
export async function setAccount(
  run: RunCommand,
  account: string,
  limits: AccountLimits,
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
  const missing = submitters.filter((user) => !there.includes(user));
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
