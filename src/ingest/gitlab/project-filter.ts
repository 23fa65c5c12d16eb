import { Minimatch } from 'minimatch';
import type { GitLabProject } from './replies.js';

/**
 * Makes a filter of project names. A name is a path such as `group/project`, a glob, or a project’s
 * id. In a glob (`group/**`), `*` stays within one part and `**` crosses slashes.
 * The filter ignores case, as GitLab does. An empty list matches all projects.
 */
export function projectFilter(names: readonly string[]): (project: GitLabProject) => boolean {
  if (names.length === 0) return () => true;
  const globs = names.map(
    (name) => new Minimatch(name, { nocase: true, dot: true, nonegate: true, nocomment: true }),
  );
  return ({ id, path }) => names.includes(String(id)) || globs.some((glob) => glob.match(path));
}
