import { createHash } from 'node:crypto';
import { ConfigError } from '../../config/config-error.js';
import { readGroups, readJobUsers, readUnixUsers, type UnixUser } from '../../config/unix-users.js';

export type Owner = Pick<UnixUser, 'uid' | 'gid'>;

/** The Unix users of the stack; docker/make-users.sh makes them. */
export type UnixUsers = Record<
  'munge' | 'mysql' | 'slurm' | 'jobrunner' | 'runner' | 'jr-remote' | 'jr-join',
  Owner
> & {
  /** The users of jobs, `runner` among them; each one's group is for its own files. */
  jobs: UnixUser[];
  /** The group of all users of jobs, through which they read datasets. */
  jobsGroup: number;
  /** The group of users who may talk to munged. */
  slurmGroup: number;
};

/** Finds the Unix users. @throws ConfigError when one is missing. */
export function findUnixUsers(): UnixUsers {
  const users = readUnixUsers();
  const groups = readGroups();
  const user = (name: string): Owner => users.get(name) ?? missing('user', name);
  const group = (name: string): number => groups.get(name) ?? missing('group', name);
  user('jr-job1');
  const runner = user('runner');
  // An earlier version's docker/make-users.sh left the user like this.
  if (runner.gid !== group('jr-owner')) missing('user runner in the group', 'jr-owner');
  return {
    munge: user('munge'),
    mysql: user('mysql'),
    slurm: user('slurm'),
    jobrunner: user('jobrunner'),
    runner,
    'jr-remote': user('jr-remote'),
    'jr-join': user('jr-join'),
    jobs: [...readJobUsers().values()],
    jobsGroup: group('runner'),
    slurmGroup: group('jr-slurm'),
  };
}

/** Returns the users of everything but jobs, root among them. */
export function daemonUids(users: UnixUsers): number[] {
  const ofJobs = new Set(users.jobs.map(({ uid }) => uid));
  const daemons = Object.values(users).flatMap((user) =>
    typeof user === 'object' && 'uid' in user && !ofJobs.has(user.uid) ? user.uid : [],
  );
  return [0, ...daemons];
}

/**
 * Digests the numbers of all users of jobs, which must be the same on all machines of a cluster.
 */
export function idsOfJobUsers({ jobs }: Pick<UnixUsers, 'jobs'>): string {
  const lines = jobs.map(({ name, uid, gid }) => `${name}:${uid}:${gid}\n`).sort();
  return createHash('sha256').update(lines.join('')).digest('hex').slice(0, 16);
}

function missing(kind: string, name: string): never {
  throw new ConfigError(`the ${kind} ${name} is missing; run docker/make-users.sh as root`);
}
