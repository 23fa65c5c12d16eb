import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import * as api from './api.js';
import { Faults, type Fault, type FaultOn } from './faults.js';
import { BranchMoved, Repository } from './repository.js';

export interface ProjectOptions {
  path: string;
  files?: Record<string, string>;
  /** main */
  defaultBranch?: string;
  archived?: boolean;
  hidden?: boolean;
  /** 30, Developer */
  accessLevel?: number;
  /** A repository without a commit, or no repository. */
  repository?: 'empty' | 'none';
}

/**
 * A stand-in for GitLab, whose own image is too large for these tests: 3 GB, with minutes and 4 GiB
 * of memory to start. Real bare git repositories hold the files, so commits, blobs, last commits
 * and moved branches are git's. Its replies follow GitLab's documentation (docs.gitlab.com/api:
 * rest, projects, branches, repositories, repository_files;
 * administration/settings/user_and_ip_rate_limits for 429). The messages of 400 and 404 and the
 * order of checks follow GitLab's source: lib/api/files.rb, lib/api/repositories.rb,
 * app/services/files/update_service.rb. It has no scopes, protected branches, groups, hooks or
 * limits of its own. {@link fail} plans faults.
 */
export class GitLabStandIn {
  readonly token = 'glpat-stand-in-token';
  /** All requests so far, such as `GET /api/v4/…`. */
  readonly requests: string[] = [];
  readonly projects = new Map<number, api.Project>();
  readonly #faults = new Faults();
  readonly #working = new Set<Promise<unknown>>();
  readonly #arrivals = new EventEmitter<{ request: [] }>();
  readonly #server: Server;

  private constructor(readonly folder: string) {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  static async start(): Promise<GitLabStandIn> {
    const standIn = new GitLabStandIn(await mkdtemp(join(tmpdir(), 'jr-gitlab-')));
    standIn.#server.listen(0, '127.0.0.1');
    await once(standIn.#server, 'listening');
    return standIn;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Returns the number of planned faults that have not happened. */
  get faultsLeft(): number {
    return this.#faults.left;
  }

  async addProject(options: ProjectOptions): Promise<api.Project> {
    const { path, files = {}, defaultBranch = 'main', accessLevel = 30 } = options;
    const id = this.projects.size + 1;
    const repository =
      options.repository === 'none'
        ? undefined
        : await Repository.init(join(this.folder, `${id}.git`), defaultBranch);
    const project: api.Project = {
      id,
      path,
      accessLevel,
      repository,
      defaultBranch: options.repository === undefined ? defaultBranch : null,
      archived: options.archived ?? false,
      hidden: options.hidden ?? false,
    };
    if (options.repository === undefined)
      await repository?.commit(defaultBranch, { 'README.md': 'a project\n', ...files }, 'begin');
    this.projects.set(id, project);
    return project;
  }

  /** Pushes as somebody else. @returns the commit */
  async commit(project: api.Project, files: Record<string, string | null>): Promise<string> {
    if (project.repository === undefined || project.defaultBranch === null)
      throw new Error(`${project.path} has no branch`);
    for (;;) {
      try {
        return await project.repository.commit(project.defaultBranch, files, 'a push');
      } catch (error) {
        // Start again after a push that came too late.
        if (!(error instanceof BranchMoved)) throw error;
      }
    }
  }

  /** Reads a file of the default branch. */
  async read(
    { repository, defaultBranch }: api.Project,
    path: string,
  ): Promise<string | undefined> {
    const commit = await repository?.commitOf(`refs/heads/${defaultBranch}`);
    const blob = commit && (await repository?.blobOf(commit, path));
    return blob && (await repository?.read(blob))?.toString();
  }

  /** Waits for a request that begins with this, such as `GET /api/v4/projects/1/`. */
  async received(start: string): Promise<void> {
    while (!this.requests.some((request) => request.startsWith(start)))
      await once(this.#arrivals, 'request');
  }

  /** Makes the next matching request, or the next few, fail. */
  fail(on: FaultOn, fault: Fault): void {
    this.#faults.plan(on, fault);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await Promise.allSettled(this.#working);
    await rm(this.folder, { recursive: true, force: true });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    this.requests.push(`${request.method} ${request.url}`);
    this.#arrivals.emit('request');
    const fault = this.#faults.take(request);
    if (fault?.kind === 'reset') return void request.socket.resetAndDestroy();
    if (fault?.kind === 'slow') await fault.until;
    const answer =
      fault?.kind === 'answer'
        ? fault
        : await this.#untilDone(
            this.#carryOut(request, body, fault?.kind === 'meanwhile' ? fault.act : undefined),
          );
    if (fault?.kind === 'lost-reply') return void request.socket.resetAndDestroy();
    const { status, headers = {}, body: said = '' } = answer;
    const isText = typeof said === 'string';
    const bytes = Buffer.from(isText ? said : JSON.stringify(said));
    response.writeHead(status, {
      'content-type': isText ? 'text/plain' : 'application/json',
      'content-length': bytes.length,
      ...headers,
    });
    if (fault?.kind !== 'half') return void response.end(bytes);
    response.write(bytes.subarray(0, bytes.length / 2), () => request.socket.resetAndDestroy());
  }

  /** Tracks running work: git still writes for a client that has left. */
  async #untilDone<T>(work: Promise<T>): Promise<T> {
    this.#working.add(work);
    try {
      return await work;
    } finally {
      this.#working.delete(work);
    }
  }

  async #carryOut(
    request: IncomingMessage,
    body: string,
    meanwhile: (() => Promise<void>) | undefined,
  ): Promise<api.Answer> {
    const { method, headers } = request;
    const bearer = headers.authorization?.replace(/^Bearer /, '');
    if ((headers['private-token'] ?? bearer) !== this.token)
      return { status: 401, body: { message: '401 Unauthorized' } };
    const url = new URL(request.url ?? '', this.url);
    const [, id, rest = ''] = /^\/api\/v4\/projects(?:\/(\d+)(\/.*)?)?$/.exec(url.pathname) ?? [];
    if (id === undefined) return api.listProjects(this.projects.values(), url);
    const project = this.projects.get(Number(id));
    if (project === undefined || project.hidden)
      return { status: 404, body: { message: '404 Project Not Found' } };
    if (rest === '') return { status: 200, body: api.view(project, url.origin) };
    if (rest === '/repository/tree') return api.tree(project, url);
    const [, kind, name = ''] = /^\/repository\/(branches|files)\/([^/]+)$/.exec(rest) ?? [];
    const path = decodeURIComponent(name);
    if (kind === 'branches') return api.branch(project, path);
    if (kind === 'files' && method === 'GET') return api.readFile(project, path, url);
    if (kind === 'files' && (method === 'POST' || method === 'PUT')) {
      const fields = JSON.parse(body) as Parameters<typeof api.writeFile>[3];
      return api.writeFile(method, project, path, fields, meanwhile);
    }
    return { status: 404, body: { error: '404 Not Found' } };
  }
}
