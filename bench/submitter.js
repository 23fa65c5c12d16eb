import { idsOf } from './nginx.js';

/**
 * Finds the user as whom a competitor submits by hand: the jobs' user, in the group that may talk
 * to munge, which jobs cannot.
 * @param {import('./workspace.js').Workspace} workspace
 */
export async function submitterOf(workspace) {
  const { uid } = await idsOf(workspace, 'runner');
  const { stdout } = await workspace.run('getent', ['group', 'jr-slurm']);
  return { uid, gid: Number(stdout.split(':')[2]) };
}
