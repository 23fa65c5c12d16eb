import { createHash } from 'node:crypto';
import { ConfigError } from '../../config/config-error.js';
import { readGroups, readJobUsers, readUnixUsers, type UnixUser } from '../../config/unix-users.js';

export type Account = Pick<UnixUser, 'uid' | 'gid'>;

/** The users of the stack; docker/make-users.sh makes them. */
export type Accounts = Record<
  'munge' | 'mysql' | 'slurm' | 'jobrunner' | 'runner' | 'jr-remote',
  Account
> & {
  /** Those that jobs run as, `runner` among them; each one's group is that of what is its alone. */
  jobs: UnixUser[];
  /** The group of all who run jobs, through which datasets are read. */
  jobsGroup: number;
  /** The group of those who may talk to munged. */
  slurmGroup: number;
};

/** @throws ConfigError when one is missing. */
export function findAccounts(): Accounts {
  const users = readUnixUsers();
  const groups = readGroups();
  const user = (name: string): Account => users.get(name) ?? missing('user', name);
  const group = (name: string): number => groups.get(name) ?? missing('group', name);
  user('jr-job1');
  const runner = user('runner');
  // As docker/make-users.sh of an earlier version left it.
  if (runner.gid !== group('jr-owner')) missing('user runner in the group', 'jr-owner');
  return {
    munge: user('munge'),
    mysql: user('mysql'),
    slurm: user('slurm'),
    jobrunner: user('jobrunner'),
    runner,
    'jr-remote': user('jr-remote'),
    jobs: [...readJobUsers().values()],
    jobsGroup: group('runner'),
    slurmGroup: group('jr-slurm'),
  };
}

/** The numbers of all users that jobs run as, as a digest: on all machines of a cluster they are to be the same. */
export function idsOfJobUsers({ jobs }: Pick<Accounts, 'jobs'>): string {
  const lines = jobs.map(({ name, uid, gid }) => `${name}:${uid}:${gid}\n`).sort();
  return createHash('sha256').update(lines.join('')).digest('hex').slice(0, 16);
}

function missing(kind: string, name: string): never {
  throw new ConfigError(`there is no ${kind} ${name}: run docker/make-users.sh as root`);
}
