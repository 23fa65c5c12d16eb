import { readFileSync } from 'node:fs';
import { execa } from 'execa';
import { ConfigError } from '../../config/config-error.js';

/**
 * Tells whether the jobs' user differs from the API's. Jobs' files must then be open to a group
 * that both are in.
 */
export async function isOtherUser(user: string | undefined): Promise<boolean> {
  if (user === undefined) return false;
  const { stdout, failed } = await execa('/usr/bin/id', ['-u', '--', user], { reject: false });
  // A user that this machine does not know is not the API's.
  return failed || Number(stdout) !== process.getuid?.();
}

/**
 * Returns the number of the group that shares files.
 * @param name undefined for the API's own group
 * @throws ConfigError if there is no such group, or the API's user is not in it; also if a group is
 * needed and none is named
 */
export async function sharedGroup(
  name: string | undefined,
  user: string | undefined,
): Promise<number | undefined> {
  const isOther = await isOtherUser(user);
  if (name === undefined) {
    if (isOther)
      throw new ConfigError(
        `JR_SLURM_GROUP: must be set, since jobs run as ${user}; name a group of ${user} and the API's user`,
      );
    return undefined;
  }
  const { stdout, failed } = await execa('/usr/bin/getent', ['group', '--', name], {
    reject: false,
  });
  const gid = Number(stdout.split(':')[2]);
  if (failed || !Number.isInteger(gid))
    throw new ConfigError(`JR_SLURM_GROUP: unknown group ${name} on this machine`);
  if (!ownGroups().includes(gid))
    throw new ConfigError(
      `JR_SLURM_GROUP: the API's user is not in ${name}; add it (usermod -aG ${name} …), and start again`,
    );
  if (isOther && user !== undefined) {
    const { stdout: groups, failed: unknown } = await execa('/usr/bin/id', ['-G', '--', user], {
      reject: false,
    });
    // Membership cannot be checked for a user that only the external cluster's nodes know.
    if (!unknown && !groups.split(' ').map(Number).includes(gid))
      throw new ConfigError(
        `JR_SLURM_GROUP: ${user}, the user of jobs, is not in ${name}; add ${user}, or name another group`,
      );
  }
  return gid;
}

function ownGroups(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const groups = /^Groups:\s*(.*)$/m.exec(status)?.[1] ?? '';
  return [...groups.trim().split(/\s+/).map(Number), process.getgid?.() ?? -1];
}
