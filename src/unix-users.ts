import { readFileSync } from 'node:fs';

/** The Unix user that the jobs of the box's owner run as. */
export const OWNER_UNIX_USER = 'runner';

/** Its jobs' files have a group of their own: its namesake is that of all who run jobs, through which datasets are read. */
const ownerGroup = 'jr-owner';

/** The Unix user that the jobs of one of our users run as. @param number from 1 */
export const unixUserName = (number: number) => `jr-job${number}`;

const jobUserPattern = /^(runner|jr-job[1-9]\d{0,2})$/;

export function isJobUser(name: string): boolean {
  return jobUserPattern.test(name);
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

/** Those that jobs run as, with the group of what is each one's alone. */
export function readJobUsers(): Map<string, UnixUser> {
  const gid = readGroups().get(ownerGroup);
  const users = [...readUnixUsers()].filter(([name]) => isJobUser(name));
  return new Map(
    users.map(([name, user]) => [
      name,
      name === OWNER_UNIX_USER && gid !== undefined ? { ...user, gid } : user,
    ]),
  );
}

/** The numbers of the groups in /etc/group, by name. */
export function readGroups(): Map<string, number> {
  const lines = readFileSync('/etc/group', 'utf8').split('\n');
  return new Map(
    lines.map((line) => line.split(':')).map(([name = '', , gid]) => [name, Number(gid)]),
  );
}
