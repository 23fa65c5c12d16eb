import { readFileSync } from 'node:fs';
import { ConfigError } from '../config/config-error.js';

export interface Account {
  uid: number;
  gid: number;
}

/** The users of the stack; docker/make-users.sh makes them. */
export type Accounts = Record<
  'munge' | 'mysql' | 'slurm' | 'jobrunner' | 'runner' | 'jr-remote',
  Account
> & {
  /** The group of those who may talk to munged. */
  slurmGroup: number;
};

/** @throws ConfigError when one is missing. */
export function findAccounts(): Accounts {
  const users = readFileSync('/etc/passwd', 'utf8');
  const find = (name: string): Account => {
    const [, , uid, gid] = entryOf(users, name, 'user');
    return { uid: Number(uid), gid: Number(gid) };
  };
  return {
    munge: find('munge'),
    mysql: find('mysql'),
    slurm: find('slurm'),
    jobrunner: find('jobrunner'),
    runner: find('runner'),
    'jr-remote': find('jr-remote'),
    slurmGroup: Number(entryOf(readFileSync('/etc/group', 'utf8'), 'jr-slurm', 'group')[2]),
  };
}

function entryOf(file: string, name: string, kind: string): string[] {
  const fields = file
    .split('\n')
    .map((line) => line.split(':'))
    .find((line) => line[0] === name);
  if (fields === undefined)
    throw new ConfigError(`there is no ${kind} ${name}: run docker/make-users.sh as root`);
  return fields;
}
