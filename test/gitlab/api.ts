import { createHash } from 'node:crypto';
import { BranchMoved, type Repository } from './repository.js';

export interface Project {
  id: number;
  path: string;
  defaultBranch: string | null;
  archived: boolean;
  /** Undefined if its repository is switched off or missing. */
  repository: Repository | undefined;
  /** The tokens that cannot see it. */
  hidden: boolean;
  /** The token's role in it: 30 is Developer, 20 Reporter (docs.gitlab.com/api/access_requests). */
  accessLevel: number;
}

export interface Answer {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

interface Body {
  branch?: string;
  content?: string;
  encoding?: string;
  commit_message?: string;
  last_commit_id?: string;
}

const notFound = (what: string): Answer => ({
  status: 404,
  body: { message: `404 ${what} Not Found` },
});
const refused = (message: string): Answer => ({ status: 400, body: { message } });

/**
 * GitLab's message about a branch that moved (app/models/repository.rb, and Gitaly's errors).
 */
const movedText = 'Could not update refs/heads/main. Please refresh and try again.';

export function view(project: Project, origin: string): object {
  const { id, path, defaultBranch, archived } = project;
  return {
    id,
    description: null,
    name: path.split('/').at(-1),
    path_with_namespace: path,
    web_url: `${origin}/${path}`,
    default_branch: defaultBranch,
    archived,
    empty_repo: project.repository !== undefined && defaultBranch === null,
    repository_access_level: project.repository === undefined ? 'disabled' : 'enabled',
    last_activity_at: '2026-01-01T00:00:00.000Z',
    permissions: { project_access: { access_level: project.accessLevel }, group_access: null },
  };
}

/** `GET /projects?pagination=keyset`: as documented, the last page is empty and has no `Link`. */
export function listProjects(projects: Iterable<Project>, url: URL): Answer {
  const query = url.searchParams;
  const after = Number(query.get('id_after') ?? 0);
  const level = Number(query.get('min_access_level') ?? 0);
  const wanted = [...projects]
    .filter((p) => !p.hidden && p.id > after && p.accessLevel >= level)
    .filter((p) => query.get('membership') !== 'true' || p.accessLevel > 0)
    .sort((a, b) => a.id - b.id)
    .slice(0, Math.min(100, Number(query.get('per_page') ?? 20)));
  const body = wanted.map((project) => view(project, url.origin));
  const last = wanted.at(-1);
  if (last === undefined) return { status: 200, body };
  const next = new URL(url);
  next.searchParams.set('id_after', String(last.id));
  return { status: 200, body, headers: { link: `<${next.href}>; rel="next"` } };
}

export async function branch(project: Project, name: string): Promise<Answer> {
  const commit = await project.repository?.commitOf(`refs/heads/${name}`);
  if (commit === undefined) return notFound('Branch');
  return { status: 200, body: { name, protected: true, commit: { id: commit } } };
}

export async function readFile({ repository }: Project, path: string, url: URL): Promise<Answer> {
  const ref = url.searchParams.get('ref');
  if (ref === null) return { status: 400, body: { error: 'ref is missing, ref is empty' } };
  const commit = await repository?.commitOf(ref);
  if (repository === undefined || commit === undefined) return notFound('Commit');
  const blob = await repository.blobOf(commit, path);
  if (blob === undefined) return notFound('File');
  const content = await repository.read(blob);
  return {
    status: 200,
    body: {
      file_name: path.split('/').at(-1),
      file_path: path,
      size: content.length,
      encoding: 'base64',
      content: content.toString('base64'),
      content_sha256: createHash('sha256').update(content).digest('hex'),
      ref,
      blob_id: blob,
      commit_id: commit,
      last_commit_id: await repository.lastCommitOf(commit, path),
      execute_filemode: false,
    },
  };
}

/** `GET …/repository/tree`, in pages by `page_token`, the blob after which the next page begins. */
export async function tree({ repository }: Project, url: URL): Promise<Answer> {
  const query = url.searchParams;
  const commit = await repository?.commitOf(query.get('ref') ?? 'HEAD');
  if (repository === undefined || commit === undefined) return notFound('Tree');
  const folder = query.get('path') ?? '';
  const all = await repository.entries(
    commit,
    folder === '' ? '' : `${folder}/`,
    query.get('recursive') === 'true',
  );
  const below = all.filter(({ path }) => path !== folder);
  if (below.length === 0 && folder !== '') return notFound('invalid revision or path');
  const token = query.get('page_token');
  const start = token === null ? 0 : below.findIndex(({ path }) => idOf(path) === token) + 1;
  const page = below.slice(start, start + Math.min(100, Number(query.get('per_page') ?? 20)));
  const body = page.map((entry) => ({ ...entry, name: entry.path.split('/').at(-1) }));
  const last = page.at(-1);
  if (last === undefined || start + page.length >= below.length) return { status: 200, body };
  const next = new URL(url);
  next.searchParams.set('page_token', idOf(last.path));
  return { status: 200, body, headers: { link: `<${next.href}>; rel="next"` } };
}

const idOf = (path: string) => createHash('sha1').update(path).digest('hex');

/**
 * `POST` and `PUT …/repository/files/:path`: one commit; every failure is a 400.
 */
export async function writeFile(
  method: 'POST' | 'PUT',
  project: Project,
  path: string,
  body: Body,
  meanwhile?: () => Promise<void>,
): Promise<Answer> {
  const { repository, archived, accessLevel } = project;
  if (repository === undefined || archived || accessLevel < 30)
    return { status: 403, body: { message: '403 Forbidden' } };
  const { branch: name, content, commit_message: message } = body;
  if (name === undefined || content === undefined || message === undefined)
    return { status: 400, body: { error: 'branch, content or commit_message is missing' } };
  if (path.split('/').includes('..'))
    return { status: 400, body: { error: 'file_path should be a valid file path' } };
  const head = await repository.commitOf(`refs/heads/${name}`);
  const exists = head !== undefined && (await repository.blobOf(head, path)) !== undefined;
  if (method === 'POST' && exists) return refused('A file with this name already exists');
  if (method === 'PUT' && !exists) return refused("A file with this name doesn't exist");
  if (method === 'PUT' && head !== undefined && body.last_commit_id !== undefined)
    if ((await repository.lastCommitOf(head, path)) !== body.last_commit_id)
      return refused(
        'You are attempting to update a file that has changed since you started editing it.',
      );
  const bytes = Buffer.from(content, body.encoding === 'base64' ? 'base64' : 'utf8');
  try {
    // As in Gitaly, based on the head where the file was looked up.
    await repository.commit(name, { [path]: bytes }, message, { parent: head, meanwhile });
  } catch (error) {
    if (error instanceof BranchMoved) return refused(movedText);
    throw error;
  }
  return { status: method === 'POST' ? 201 : 200, body: { file_path: path, branch: name } };
}
