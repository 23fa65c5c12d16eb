import { join } from 'node:path';
import { execa } from 'execa';
import { ConfigError } from '../../config/config-error.js';
import { packageRoot } from '../../config/package-root.js';
import { readUnixUsers, unixUserName } from '../../config/unix-users.js';

/**
 * Makes those users that jobs run as of which there are fewer than wanted, as root: a container made anew has those of its image.
 * @param wanted besides the owner's
 * @throws ConfigError when they cannot be made, as on a root file system that is read-only.
 */
export async function makeJobUsers(wanted: number, say: (line: string) => void): Promise<void> {
  // They are made in the order of their numbers.
  if (readUnixUsers().has(unixUserName(wanted))) return;
  say(`Making the Unix users up to ${unixUserName(wanted)} …`);
  const made = await execa(join(packageRoot, 'docker/make-users.sh'), {
    env: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      JR_JOB_USERS: String(wanted),
    },
    extendEnv: false,
    reject: false,
  });
  if (made.failed)
    throw new ConfigError(
      `JR_JOB_USERS: the Unix users up to ${unixUserName(wanted)} could not be made: ${made.stderr.trim() || made.shortMessage}`,
    );
}
