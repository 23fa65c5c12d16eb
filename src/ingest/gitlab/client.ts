import { z } from 'zod';
import { GitLabError, GitLabNotFoundError } from './errors.js';
import type { Reply } from './http-exchange.js';
import { nextPage } from './pages.js';
import {
  branchSchema,
  fileSchema,
  projectSchema,
  treeSchema,
  type GitLabFile,
  type GitLabProject,
  type TreeEntry,
} from './replies.js';
import { GitLabRequests, type GitLabOptions } from './request.js';
import { createFile, updateFile, type CreateOptions, type NewContent } from './write-file.js';
import { firstProblem } from '../../schema-problems.js';

export type { GitLabFile, GitLabProject, TreeEntry } from './replies.js';
export type { GitLabOptions } from './request.js';
export type { CreateOptions, NewContent } from './write-file.js';

/** Maximum page size of GitLab (docs.gitlab.com/api/rest, “Pagination”). */
const perPage = 100;

/** Messages of GitLab’s API (its source: lib/api/files.rb, branches.rb, repositories.rb). */
const missingInProject =
  /^404 (?:File|Commit|Tree|Branch|Repository|invalid revision or path) Not Found$/i;

/** Selects among the projects that the token can see. */
export interface ProjectFilter {
  /**
   * Only projects that its user is a member of. On gitlab.com the others are all its public
   * projects.
   */
  membership?: boolean;
  /**
   * Only projects where its user has at least this role; 30 is Developer, who may write
   * (docs.gitlab.com/api/access_requests).
   */
  minAccessLevel?: number;
}

/**
 * Client of GitLab’s REST API (v4), as far as jobs in repositories need it. Every method retries by
 * itself (see `GitLabRequests`) and takes a signal, whose reason it throws.
 * Every method throws GitLabAuthenticationError (401, 403), GitLabConnectionError (GitLab
 * unreachable, or all retries failed) and GitLabError (anything else).
 */
export class GitLabClient {
  readonly #requests: GitLabRequests;

  /** @throws NoTokenProvidedError; GitLabError when the URL or the token cannot be used. */
  constructor(options: GitLabOptions) {
    this.#requests = new GitLabRequests(options);
  }

  /**
   * Lists all projects that the token can see, by rising id, a page at a time
   * (docs.gitlab.com/api/rest, “Keyset-based pagination”).
   */
  async *projects(filter: ProjectFilter = {}, signal?: AbortSignal): AsyncGenerator<GitLabProject> {
    const url = this.#requests.url('/projects', {
      pagination: 'keyset',
      order_by: 'id',
      sort: 'asc',
      per_page: perPage,
      ...(filter.membership && { membership: 'true' }),
      ...(filter.minAccessLevel !== undefined && { min_access_level: filter.minAccessLevel }),
    });
    yield* this.#pages(url, z.array(projectSchema), signal);
  }

  /**
   * Reads a project.
   * @throws GitLabNotFoundError when it does not exist or is hidden from this token
   */
  async project(id: number, signal?: AbortSignal): Promise<GitLabProject> {
    const url = this.#requests.url(`/projects/${id}`);
    return parse(await this.#requests.send({ method: 'GET', url }, { signal }), projectSchema);
  }

  /** Reads a branch’s last commit; undefined without such a branch or without a repository. */
  async lastCommit(
    projectId: number,
    branch: string,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    const path = `/projects/${projectId}/repository/branches/${encodeURIComponent(branch)}`;
    const reply = await this.#find(this.#requests.url(path), signal);
    return reply && parse(reply, branchSchema).commit.id;
  }

  /**
   * Reads a file with its content.
   * @param ref preferably a commit, or `HEAD` for the default branch: a tag takes precedence over a
   *   branch of the same name
   * @returns undefined when the file does not exist, as in an empty repository
   * @throws GitLabNotFoundError when the project does not exist or is hidden from this token
   */
  async readFile(
    projectId: number,
    path: string,
    ref: string,
    signal?: AbortSignal,
  ): Promise<GitLabFile | undefined> {
    const reply = await this.#find(this.#requests.url(fileUrl(projectId, path), { ref }), signal);
    return reply && parse(reply, fileSchema);
  }

  /**
   * Lists everything below a folder, recursively; nothing when the folder does not exist.
   * @param ref preferably a commit: a branch may move between two pages
   */
  async *tree(
    projectId: number,
    path: string,
    ref: string,
    signal?: AbortSignal,
  ): AsyncGenerator<TreeEntry> {
    const url = this.#requests.url(`/projects/${projectId}/repository/tree`, {
      path,
      ref,
      recursive: 'true',
      pagination: 'keyset',
      per_page: perPage,
    });
    yield* this.#pages(url, treeSchema, signal, true);
  }

  /**
   * Commits a new file to a branch; never overwrites a file. After a lost reply it reads the file
   * to learn the outcome, so content that must be distinguishable from others’ needs a nonce.
   * @throws GitLabFileExistsError when the file exists and does not come from this call
   */
  async createFile(
    projectId: number,
    file: NewContent,
    options: CreateOptions = {},
    signal?: AbortSignal,
  ): Promise<void> {
    await createFile(this.#writing(projectId, file, signal), options);
  }

  /**
   * Commits new content to a file that has not changed since it was read.
   * GitLab compares before it commits, not during it. Two simultaneous updates may both be reported
   * as successful, although only one’s content stays. A caller that must know reads the file again.
   * @param lastCommitId of {@link readFile}
   * @throws GitLabFileChangedError when the file was changed or removed since
   */
  async updateFile(
    projectId: number,
    file: NewContent,
    lastCommitId: string,
    signal?: AbortSignal,
  ): Promise<void> {
    await updateFile(this.#writing(projectId, file, signal), lastCommitId);
  }

  #writing(projectId: number, file: NewContent, signal: AbortSignal | undefined) {
    return {
      requests: this.#requests,
      url: this.#requests.url(fileUrl(projectId, file.path)),
      file,
      read: async () => {
        // Read by commit: a tag takes precedence over a branch of the same name.
        const commit = await this.lastCommit(projectId, file.branch, signal);
        return commit === undefined
          ? undefined
          : this.readFile(projectId, file.path, commit, signal);
      },
      signal,
    };
  }

  async *#pages<T>(
    first: URL,
    schema: z.ZodType<T[]>,
    signal?: AbortSignal,
    mayLack = false,
  ): AsyncGenerator<T> {
    for (let url: URL | undefined = first; url !== undefined;) {
      const reply: Reply | undefined = mayLack
        ? await this.#find(url, signal)
        : await this.#requests.send({ method: 'GET', url }, { signal });
      if (reply === undefined) return;
      yield* parse(reply, schema);
      url = nextPage(reply.headers, url);
    }
  }

  /**
   * Sends a GET request.
   * @returns undefined when an existing project lacks the requested object; a 404 with another
   *   message concerns the project itself, or does not come from GitLab
   */
  async #find(url: URL, signal: AbortSignal | undefined): Promise<Reply | undefined> {
    try {
      return await this.#requests.send({ method: 'GET', url }, { signal });
    } catch (error) {
      if (error instanceof GitLabNotFoundError && missingInProject.test(error.words))
        return undefined;
      throw error;
    }
  }
}

function fileUrl(projectId: number, path: string): string {
  return `/projects/${projectId}/repository/files/${encodeURIComponent(path)}`;
}

/**
 * Parses a reply.
 * @throws GitLabError when the reply differs from GitLab’s documentation: another program or
 *   another version answers
 */
function parse<T>({ body, status }: Reply, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new GitLabError('the server is no GitLab: its reply is not JSON', { status });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problem = firstProblem(parsed.error);
  throw new GitLabError(`GitLab’s reply is not as documented: ${problem}`, { status });
}
