import { readFileSync } from 'node:fs';

// docker/make-users.sh makes those that jobs run as. Each has a group for what is its alone; `runner`'s is `jr-owner`, since its
// namesake is the group of all who run jobs, through which datasets are read.

/** The Unix user that the jobs of the box's owner run as. */
export const OWNER_UNIX_USER = 'runner';

/** Besides the owner's; docker/make-users.sh takes no more. */
export const MOST_JOB_USERS = 999;

/** The Unix user that the jobs of one of our users run as. @param number from 1 */
export const unixUserName = (number: number) => `jr-job${number}`;

/** Whether jobs may run as that Unix user. */
export function isJobUser(name: string): boolean {
  return /^(runner|jr-job[1-9]\d{0,2})$/.test(name);
}

/** A Unix user as /etc/passwd has it. */
export interface UnixUser {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

/** Those of /etc/passwd, by name: no directory service is asked, since all of ours are made on the machine itself. */
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

/** Those of them that jobs run as, by name. */
export function readJobUsers(): Map<string, UnixUser> {
  return new Map([...readUnixUsers()].filter(([name]) => isJobUser(name)));
}

/** The numbers of the groups in /etc/group, by name. */
export function readGroups(): Map<string, number> {
  const lines = readFileSync('/etc/group', 'utf8').split('\n');
  return new Map(
    lines.map((line) => line.split(':')).map(([name = '', , gid]) => [name, Number(gid)]),
  );
}
