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

/** Most that GitLab puts on a page (docs.gitlab.com/api/rest, “Pagination”). */
const perPage = 100;

/** As GitLab's API says it (its source: lib/api/files.rb, branches.rb, repositories.rb). */
const missingInProject =
  /^404 (?:File|Commit|Tree|Branch|Repository|invalid revision or path) Not Found$/i;

/** Which of the projects that the token can see. */
export interface ProjectFilter {
  /** Only those that its user is a member of. On gitlab.com, all others are every public project there. */
  membership?: boolean;
  /** Only those where its user has at least that role; 30 is Developer, who may write (docs.gitlab.com/api/access_requests). */
  minAccessLevel?: number;
}

/**
 * GitLab's REST API (v4), as far as jobs in repositories need it. Every method tries again by itself (see `GitLabRequests`), takes a signal whose reason it
 * throws, and throws GitLabAuthenticationError (401, 403), GitLabConnectionError (out of reach, or all retries spent) and GitLabError (anything else).
 */
export class GitLabClient {
  readonly #requests: GitLabRequests;

  /** @throws NoTokenProvidedError; GitLabError when the URL or the token cannot be used. */
  constructor(options: GitLabOptions) {
    this.#requests = new GitLabRequests(options);
  }

  /** All projects that the token can see, by rising id, a page at a time (docs.gitlab.com/api/rest, “Keyset-based pagination”). */
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

  /** @throws GitLabNotFoundError when there is none, or none for this token. */
  async project(id: number, signal?: AbortSignal): Promise<GitLabProject> {
    const url = this.#requests.url(`/projects/${id}`);
    return parse(await this.#requests.send({ method: 'GET', url }, { signal }), projectSchema);
  }

  /** A branch's last commit; undefined when there is no such branch, or no repository. */
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
   * A file with its content.
   * @param ref best a commit, or `HEAD` for the default branch: a tag of a branch's name would come before that branch
   * @returns undefined when it is not there, in an empty repository for one.
   * @throws GitLabNotFoundError when the project is not there, or not for this token.
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
   * All that is below a folder, however deep; nothing when there is no such folder.
   * @param ref best a commit: a branch may move between two pages
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
   * Commits a new file to a branch, and to no file that is there. A reply that got lost is made up for by reading the file, so content that must be told
   * from others' holds a nonce.
   * @throws GitLabFileExistsError when there is one already, and it is not the one of this call
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
   * Commits new content to a file that is as it was read. GitLab compares before it commits, not while it does: of two updates at the same moment both may
   * be told that they succeeded, and only one's content stays. Whoever must know reads the file once more.
   * @param lastCommitId of {@link readFile}
   * @throws GitLabFileChangedError when it has been changed or removed since
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
        // By the commit: a tag may have the branch's name, and would come first.
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

  /** @returns undefined for what is not in a project that is there. A 404 in other words is the project's, or none of GitLab's. */
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

/** @throws GitLabError for a reply that is not as GitLab documents it: another program answers there, or another version. */
function parse<T>({ body, status }: Reply, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new GitLabError('what answers is no GitLab: its reply is no JSON', { status });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problem = firstProblem(parsed.error);
  throw new GitLabError(`GitLab’s reply is not as documented: ${problem}`, { status });
}
