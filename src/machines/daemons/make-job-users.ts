import { join } from 'node:path';
import { execa } from 'execa';
import { ConfigError } from '../../config/config-error.js';
import { packageRoot } from '../../config/package-root.js';
import { readUnixUsers, unixUserName } from '../../config/unix-users.js';

/**
 * Makes the missing Unix users, as root: a new container only has those of its image, and an older
 * version made fewer.
 * @param wanted number of users besides the owner's
 * @throws ConfigError when that fails, as on a read-only root file system
 */
export async function makeJobUsers(wanted: number, say: (line: string) => void): Promise<void> {
  const users = readUnixUsers();
  // Users of jobs are made in the order of their numbers.
  if (users.has(unixUserName(wanted)) && users.has('jr-join')) return;
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
      `JR_JOB_USERS: cannot make the Unix users up to ${unixUserName(wanted)}: ${made.stderr.trim() || made.shortMessage}`,
    );
}
