import { readFileSync } from 'node:fs';
import { execa } from 'execa';
import { ConfigError } from '../../config/config-error.js';

/** Whether the jobs' user is another than the API's: then what jobs write must be opened to a group that both are in. */
export async function isOtherUser(user: string | undefined): Promise<boolean> {
  if (user === undefined) return false;
  const { stdout, failed } = await execa('/usr/bin/id', ['-u', '--', user], { reject: false });
  // One that this machine does not know is none of its users.
  return failed || Number(stdout) !== process.getuid?.();
}

/**
 * The number of the group that files are shared by.
 * @param name undefined for the API's own group
 * @throws ConfigError when there is no such group, or the API's user is not in it; and when one is needed and none is named
 */
export async function sharedGroup(
  name: string | undefined,
  user: string | undefined,
): Promise<number | undefined> {
  const isOther = await isOtherUser(user);
  if (name === undefined) {
    if (isOther)
      throw new ConfigError(
        `JR_SLURM_GROUP: must be set, since jobs run as ${user}: a group that ${user} and the API's user are in`,
      );
    return undefined;
  }
  const { stdout, failed } = await execa('/usr/bin/getent', ['group', '--', name], {
    reject: false,
  });
  const gid = Number(stdout.split(':')[2]);
  if (failed || !Number.isInteger(gid))
    throw new ConfigError(`JR_SLURM_GROUP: there is no group ${name} on this machine`);
  if (!ownGroups().includes(gid))
    throw new ConfigError(
      `JR_SLURM_GROUP: the API's user is not in ${name}; add it (usermod -aG ${name} …), and start again`,
    );
  if (isOther && user !== undefined) {
    const { stdout: groups, failed: unknown } = await execa('/usr/bin/id', ['-G', '--', user], {
      reject: false,
    });
    // A user that only the external cluster's nodes know cannot be checked here.
    if (!unknown && !groups.split(' ').map(Number).includes(gid))
      throw new ConfigError(
        `JR_SLURM_GROUP: ${user}, as whom jobs run, is not in ${name}; add them, or name another`,
      );
  }
  return gid;
}

function ownGroups(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const groups = /^Groups:\s*(.*)$/m.exec(status)?.[1] ?? '';
  return [...groups.trim().split(/\s+/).map(Number), process.getgid?.() ?? -1];
}
