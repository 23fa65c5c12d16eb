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
>;

/** @throws ConfigError when one is missing. */
export function findAccounts(passwd = readFileSync('/etc/passwd', 'utf8')): Accounts {
  const find = (name: string): Account => {
    const fields = passwd
      .split('\n')
      .map((line) => line.split(':'))
      .find((line) => line[0] === name);
    if (fields === undefined)
      throw new ConfigError(`there is no user ${name}: run docker/make-users.sh as root`);
    return { uid: Number(fields[2]), gid: Number(fields[3]) };
  };
  return {
    munge: find('munge'),
    mysql: find('mysql'),
    slurm: find('slurm'),
    jobrunner: find('jobrunner'),
    runner: find('runner'),
    'jr-remote': find('jr-remote'),
  };
}
