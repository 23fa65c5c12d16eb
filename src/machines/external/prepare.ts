import { randomBytes } from 'node:crypto';
import { accessSync, chownSync, constants, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { ConfigError } from '../../config/config-error.js';
import type { Config } from '../../config/config.js';
import type { ExternalSlurm } from '../../config/external.js';
import { errnoOf } from '../../errors.js';
import { layoutOf } from '../../config/layout.js';
import { packageRoot } from '../../config/package-root.js';
import { userOf } from '../../cluster/slurm/rest/token.js';
import { refuseNoFolder } from '../../config/templates-folder.js';
import { refuseTakenPort } from '../../config/taken-port.js';
import { makeExternalFolders } from './folders.js';
import { sharedGroup } from '../../cluster/external/group.js';

/** The user that runs the API when root starts it. */
const API_USER = 'jobrunner';

/**
 * Makes the folders and the token that the API needs over an external Slurm.
 * @returns the settings with the token, and the token again if it was made just now
 * @throws ConfigError, one line with the remedy
 */
export async function prepareExternal(
  config: Config,
  external: ExternalSlurm,
): Promise<{ config: Config; newToken: string | undefined }> {
  if (process.getuid?.() === 0) becomeApiUser(config.root);
  const layout = layoutOf(config.root);
  const { access } = external;
  const user = access.kind === 'rest' ? (access.user ?? userOf(access.token())) : access.user;
  const gid = await sharedGroup(external.group, user);
  refuseNoFolder(config.templates);
  await refuseTakenPort('JR_PORT', config.host, config.port);
  makeExternalFolders(layout, gid);
  if (config.authToken !== undefined) return { config, newToken: undefined };
  const newToken = randomBytes(24).toString('base64url');
  writeFileSync(join(layout.secrets, 'auth-token'), `${newToken}\n`, { mode: 0o600, flag: 'wx' });
  return { config: { ...config, authToken: newToken }, newToken };
}

/** Gives up root's rights: the API reads archives from untrusted users. */
function becomeApiUser(root: string): void {
  const { stdout, failed } = execaSync('/usr/bin/getent', ['passwd', API_USER], { reject: false });
  const [, , uid, gid] = stdout.split(':').map(Number);
  if (failed || uid === undefined || gid === undefined)
    throw new ConfigError(
      `JR_SLURM_MODE: external does not run the API as root; start it as the user for jobs, or make a user ${API_USER}`,
    );
  if (!existsSync(root)) {
    try {
      mkdirSync(root, { mode: 0o755 });
      chownSync(root, uid, gid);
    } catch (cause) {
      // A shared file system may not trust another machine's root.
      throw new ConfigError(
        `JR_ROOT: cannot make ${root} (${errnoOf(cause) ?? String(cause)}); make it, and give it to ${API_USER}`,
        { cause },
      );
    }
  }
  process.setgroups?.(execaSync('/usr/bin/id', ['-G', API_USER]).stdout.split(' ').map(Number));
  process.setgid?.(gid);
  process.setuid?.(uid);
  process.chdir('/');
  refuseClosedProgram();
}

/** Checks that the API can start its own programs from there. */
function refuseClosedProgram(): void {
  for (const file of [join(packageRoot, 'dist', 'main.js'), process.execPath]) {
    try {
      accessSync(file, constants.R_OK);
    } catch (cause) {
      throw new ConfigError(
        `JR_SLURM_MODE: external runs the API as ${API_USER}, which cannot read ${file}; move the program to a readable place, such as /opt`,
        { cause },
      );
    }
  }
}
