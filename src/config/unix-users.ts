import { readFileSync } from 'node:fs';

// docker/make-users.sh makes the users of jobs. Each has a group for its own files. The owner's
// user, `runner`, has `jr-owner`: the group `runner` is for all users of jobs, to read datasets.

/** The Unix user of the owner's jobs. */
export const OWNER_UNIX_USER = 'runner';

/** The most that docker/make-users.sh makes besides the owner's. */
export const MAX_JOB_USERS = 999;

/** Returns the name of a Unix user for another user's jobs. @param number from 1 */
export const unixUserName = (number: number) => `jr-job${number}`;

/** Returns whether jobs may run as that Unix user. */
export function isJobUser(name: string): boolean {
  return /^(runner|jr-job[1-9]\d{0,2})$/.test(name);
}

/** A Unix user as /etc/passwd lists it. */
export interface UnixUser {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

/** Reads /etc/passwd, by name. No directory service is asked, since all our users are local. */
export function readUnixUsers(): Map<string, UnixUser> {
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name = '', , uid, gid, , home = '']) => ({
      name,
      uid: Number(uid),
      gid: Number(gid),
      home,
    }));
  return new Map(users.map((user) => [user.name, user]));
}

/** Reads the Unix users that jobs may run as, by name. */
export function readJobUsers(): Map<string, UnixUser> {
  return new Map([...readUnixUsers()].filter(([name]) => isJobUser(name)));
}

/** Reads the group numbers of /etc/group, by name. */
export function readGroups(): Map<string, number> {
  const lines = readFileSync('/etc/group', 'utf8').split('\n');
  return new Map(
    lines.map((line) => line.split(':')).map(([name = '', , gid]) => [name, Number(gid)]),
  );
}
