import { Minimatch } from 'minimatch';
import type { GitLabProject } from './replies.js';

/**
 * Whether a project is one of those that are named: by its path, such as `group/project`, by a glob over it (`group/**`, in which `*` stands within one
 * part and `**` for any number of them), or by its number. Upper and lower case are the same, as they are to GitLab. No name stands for all projects.
 */
export function projectFilter(names: readonly string[]): (project: GitLabProject) => boolean {
  if (names.length === 0) return () => true;
  const globs = names.map(
    (name) => new Minimatch(name, { nocase: true, dot: true, nonegate: true, nocomment: true }),
  );
  return ({ id, path }) => names.includes(String(id)) || globs.some((glob) => glob.match(path));
}
