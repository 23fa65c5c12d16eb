import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError } from '../../config/config-error.js';
import type { Config } from '../../config/config.js';
import { readGitQueueSecrets } from '../../config/git-queue.js';
import { GITLAB_TOKEN_SECRET } from '../../config/gitlab.js';
import type { Owner, UnixUsers } from './unix-users.js';
import type { Layout } from '../../config/layout.js';
import { newInstallationId } from '../ssh-hosts/installation.js';

/**
 * Makes every folder with the owner and mode that keep the parts apart. `JR_ROOT` itself is root's:
 * a user who could rename the daemons' folders could become root.
 */
export function makeFolders(
  layout: Layout,
  unixUsers: UnixUsers,
  { jobsFile, stateFile }: { jobsFile: string; stateFile: string },
): void {
  const { jobrunner, slurm, mysql, munge, jobsGroup } = unixUsers;
  const { 'jr-remote': remote, 'jr-join': joinPort } = unixUsers;
  const root: Owner = { uid: 0, gid: 0 };
  const sharedWithJobs: Owner = { uid: jobrunner.uid, gid: jobsGroup };

  folder(layout.root, 0o755, root);
  refuseClosedParents(layout.root);
  folder(layout.run, 0o755, root);
  folder(layout.logs, 0o755, root);
  folder(layout.databaseFolder, 0o700, jobrunner);
  // Root writes here: in a folder of the API's, the API could mislead root with a link.
  folder(layout.secrets, 0o750, { uid: 0, gid: jobrunner.gid });
  // All jobs read these; the set-group-ID bit hands the group on to the files that the API makes in
  // them.
  folder(layout.datasets, 0o2750, sharedWithJobs);
  // The content belongs to one user each, and a job knows its own path.
  for (const path of [layout.results, layout.jobLogs, layout.jobScripts]) {
    giveToOwner(path, unixUsers);
    folder(path, 0o710, sharedWithJobs);
  }
  folder(join(layout.root, 'slurm'), 0o755, root);
  folder(layout.slurmState, 0o700, slurm);
  folder(layout.slurmSpool, 0o755, root);
  folder(layout.mysqlData, 0o700, mysql);
  folder(layout.mungeFolder, 0o700, munge);
  // Closed to jobs: with munge's credentials they could submit, change and cancel under any account
  // of their Unix user.
  folder(layout.mungeRun, 0o750, { uid: munge.uid, gid: unixUsers.slurmGroup });
  // MariaDB serves 151 connections; only slurmdbd is to reach it.
  folder(layout.mysqlRun, 0o750, { uid: mysql.uid, gid: slurm.gid });
  folder(join(layout.jobEnded, '..'), 0o755, root);
  // Whoever enters it may call the API as the owner.
  folder(dirname(layout.ownerSocket), 0o700, jobrunner);
  folder(dirname(layout.registerSocket), 0o750, { uid: 0, gid: joinPort.gid });
  folder(layout.screens, 0o711, root);
  // screen(1) refuses a folder that is open to others.
  for (const user of unixUsers.jobs) folder(join(layout.screens, user.name), 0o700, user);

  folder(layout.gitQueue, 0o700, jobrunner);

  folder(join(layout.root, 'remote'), 0o755, root);
  folder(layout.sshJobs, 0o2750, { uid: jobrunner.uid, gid: remote.gid });
  // Each key in it is readable only by jr-remote; the API, though in its group, can read none.
  folder(layout.sshKeys, 0o710, { uid: 0, gid: remote.gid });
  folder(layout.sshState, 0o700, remote);
  if (!existsSync(layout.sshInstallation))
    privateFile(layout.sshInstallation, newInstallationId(), 0o444, root);
  folder(dirname(layout.sshStatus), 0o2750, { uid: remote.uid, gid: jobrunner.gid });
  folder(layout.sshGpus, 0o755, root);

  // Root's, as root runs `jobrunner add`; the API only reads the file. If the user names another
  // file, they make it.
  if (jobsFile === join(layout.root, 'jobs.txt') && !existsSync(jobsFile))
    privateFile(jobsFile, '', 0o640, { uid: 0, gid: jobrunner.gid });

  // The API's, which records pauses in it; others may read it. An editor may have made it anew, as
  // root.
  if (stateFile === join(layout.root, 'gpu_scheduler_state.json')) {
    if (!existsSync(stateFile)) privateFile(stateFile, '{}\n', 0o644, jobrunner);
    else if (lstatSync(stateFile).isFile()) chownSync(stateFile, jobrunner.uid, jobrunner.gid);
  }

  const shortcut = join(layout.root, 'jr_slurm.db');
  if (!existsSync(shortcut)) {
    rmSync(shortcut, { force: true });
    symlinkSync('db/jr_slurm.db', shortcut);
  }
}

/**
 * Makes the folder of a node's slurmd and closes the sockets in it to jobs. slurmstepd lets
 * everybody connect to its socket (22.05 and 24.11), and a job that holds such connections keeps
 * another job from being ended. The folder has to stay open, since jobs' scripts lie below it. So
 * what is made in it inherits an access list that refuses the group of all users of jobs.
 * @param say is told where the file system keeps no access lists
 */
export function makeSpoolFolder(
  { slurmSpool }: Pick<Layout, 'slurmSpool'>,
  node: string,
  { jobsGroup }: Pick<UnixUsers, 'jobsGroup'>,
  say: (line: string) => void,
): void {
  const path = join(slurmSpool, node);
  folder(path, 0o755, { uid: 0, gid: 0 });
  const list = `group:${jobsGroup}:---`;
  const { error, status, stderr } = spawnSync('setfacl', ['--default', '--modify', list, path], {
    encoding: 'utf8',
  });
  if (error !== undefined || status !== 0)
    say(`jobs can connect to the sockets in ${path}: ${error?.message ?? stderr.trim()}`);
}

/**
 * Stores the secrets where only the API can read them, so that none has to be in an environment.
 * @returns the token, and whether it was made just now
 */
export function keepSecrets(
  config: Config,
  layout: Layout,
  unixUsers: UnixUsers,
): { token: string; isNew: boolean } {
  const isNew = config.authToken === undefined;
  const token = config.authToken ?? randomBytes(24).toString('base64url');
  secret('auth-token', token);
  if (config.b2) secret('b2-app-key', config.b2.appKey);
  if (config.gitlab) secret(GITLAB_TOKEN_SECRET, config.gitlab.token);
  for (const [name, value] of Object.entries(readGitQueueSecrets())) secret(name, value);

  const mungeKey = join(layout.mungeFolder, 'munge.key');
  if (!existsSync(mungeKey)) privateFile(mungeKey, randomBytes(128), 0o600, unixUsers.munge);
  return { token, isNew };

  function secret(name: string, value: string): void {
    const path = join(layout.secrets, name);
    if (existsSync(path) && readFileSync(path, 'utf8') === `${value}\n`) return;
    privateFile(path, `${value}\n`, 0o640, { uid: 0, gid: unixUsers.jobrunner.gid });
  }
}

/** The set-group-ID bit (inode(7)). */
const setGroupId = 0o2000;

/**
 * Gives job folders to the owner's group that date from before each user had a group, when the
 * folder above handed its own group on. jr-remote's folders stay: the owner's jobs could put links
 * in the way of a job that still runs on an SSH host.
 */
function giveToOwner(path: string, { runner, jobsGroup }: UnixUsers): void {
  if (!existsSync(path) || (statSync(path).mode & setGroupId) === 0) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    // The API owns the folder and may have put a link in its place.
    const folder = openSync(join(path, entry.name), constants.O_DIRECTORY | constants.O_NOFOLLOW);
    if (fstatSync(folder).gid === jobsGroup) fchownSync(folder, -1, runner.gid);
    closeSync(folder);
  }
}

/**
 * Checks the folders above `JR_ROOT`. @throws ConfigError when one is closed to the daemons' users.
 */
function refuseClosedParents(path: string): void {
  for (let parent = dirname(path); parent !== '/'; parent = dirname(parent)) {
    if ((statSync(parent).mode & 0o001) === 0)
      throw new ConfigError(
        `JR_ROOT: the user jobrunner cannot reach ${path}, since ${parent} is closed; name another folder, or run chmod o+x ${parent}`,
      );
  }
}

function folder(path: string, mode: number, owner: Owner): void {
  mkdirSync(path, { recursive: true });
  chownSync(path, owner.uid, owner.gid);
  // After chown, which clears the set-group-ID bit, and regardless of the umask.
  chmodSync(path, mode);
}

/** Replaces a file under its name, whole or not at all. */
export function privateFile(
  path: string,
  content: string | Buffer,
  mode: number,
  owner: Owner,
): void {
  const fresh = `${path}.new`;
  rmSync(fresh, { force: true });
  const file = openSync(fresh, 'wx', 0o600);
  try {
    writeFileSync(file, content);
    // Use the descriptor: the folder may belong to a daemon, which could put a link in the name's
    // place.
    fchownSync(file, owner.uid, owner.gid);
    fchmodSync(file, mode);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(fresh, path);
}
