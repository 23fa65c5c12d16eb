import { statSync } from 'node:fs';
import { execa } from 'execa';
import type { Logger } from 'pino';
import { readJobUsers } from '../config/unix-users.js';

/** Opens the folders that jobs have closed below a folder. @returns whether there were any */
export type OpenFolders = (folder: string) => Promise<boolean>;

/** Opens no folder: where jobs run as other users than those of docker/make-users.sh. */
export const opensNone: OpenFolders = () => Promise.resolve(false);

/** Longer than the script gives itself. */
const timeoutMs = 70_000;

/**
 * Opens folders on our own cluster with the rights of the job's user, whose group the folder has.
 * The sudoers file allows the API this one script for it.
 */
export function openAsJobUser(log: Logger): OpenFolders {
  return async (folder) => {
    const { gid } = statSync(folder);
    const user = [...readJobUsers().values()].find((one) => one.gid === gid);
    if (user === undefined) return false;
    const script = '/usr/local/lib/jobrunner/open-folders';
    const { failed, stdout, stderr, shortMessage } = await execa(
      'sudo',
      ['-n', script, user.name, folder],
      { env: { PATH: '/usr/bin:/bin' }, extendEnv: false, reject: false, timeout: timeoutMs },
    );
    if (failed)
      log.warn({ folder, said: stderr || shortMessage }, 'a job’s folders cannot be opened');
    return !failed && Number(stdout) > 0;
  };
}
