import { idsOf } from './nginx.js';

/**
 * As whom a rival submits by hand: as the jobs' user, in the group that may talk to munge, which jobs themselves cannot.
 * @param {import('./workspace.js').Workspace} workspace
 */
export async function submitterOf(workspace) {
  const { uid } = await idsOf(workspace, 'runner');
  const { stdout } = await workspace.run('getent', ['group', 'jr-slurm']);
  return { uid, gid: Number(stdout.split(':')[2]) };
}
