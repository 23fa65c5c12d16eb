import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { URL } from 'node:url';

const jobsInManifest = 20;
const claimed = 5;

/** @param {string} text */
const digest = (text) => createHash('sha1').update(text).digest('hex');

/**
 * Answers scans like GitLab, for thousands of projects kept in memory, and counts the requests. The
 * tests use another stand-in over real git repositories, of which a thousand would take longer to
 * make than this whole benchmark.
 */
export class GitLabStandIn {
  requests = 0;

  /**
   * @param {number} projects
   * @param {number} manifests number of projects with a manifest, counted from the first
   */
  constructor(projects, manifests) {
    this.manifests = manifests;
    /** Number of pushes to each project. */
    this.pushes = Array.from({ length: projects }, () => 0);
    this.server = createServer((request, response) => {
      this.requests += 1;
      const answer = this.answer(new URL(request.url ?? '', this.url));
      response.writeHead(answer.status, answer.headers ?? {}).end(JSON.stringify(answer.body));
    });
  }

  /**
   * @param {number} projects
   * @param {number} manifests
   */
  static async start(projects, manifests) {
    const standIn = new GitLabStandIn(projects, manifests);
    standIn.server.listen(0, '127.0.0.1');
    await once(standIn.server, 'listening');
    return standIn;
  }

  get url() {
    const address = this.server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  }

  /**
   * Moves the branches of `count` projects with a manifest, and changes the manifest. @param
   * {number} count
   */
  push(count) {
    for (let i = 0; i < count; i++) this.pushes[i] = (this.pushes[i] ?? 0) + 1;
  }

  async close() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  /**
   * @param {URL} url
   * @returns {{ status: number, body: unknown, headers?: Record<string, string> }}
   */
  answer(url) {
    const [, id, kind] =
      /^\/api\/v4\/projects\/(\d+)\/repository\/(files|tree)/.exec(url.pathname) ?? [];
    if (id === undefined) return this.page(url);
    const number = Number(id);
    if (number > this.manifests) return { status: 404, body: { message: '404 File Not Found' } };
    return { status: 200, body: kind === 'tree' ? tree(number) : this.file(number) };
  }

  /** @param {URL} url */
  page(url) {
    const after = Number(url.searchParams.get('id_after') ?? 0);
    const left = Math.min(100, this.pushes.length - after);
    const body = Array.from({ length: left }, (_, i) => project(after + i + 1));
    if (left === 0) return { status: 200, body };
    url.searchParams.set('id_after', String(after + left));
    return { status: 200, body, headers: { link: `<${url.href}>; rel="next"` } };
  }

  /** @param {number} id */
  file(id) {
    const push = this.pushes[id - 1];
    const jobs = Array.from(
      { length: jobsInManifest },
      (_, i) => `  - {job_id: job_${i}, job_type: training, mode: finetune, epochs: ${push}}\n`,
    );
    const content = `version: 1\njobs:\n${jobs.join('')}`;
    return {
      encoding: 'base64',
      content: Buffer.from(content).toString('base64'),
      blob_id: digest(content),
      commit_id: digest(`${id} ${push}`),
      last_commit_id: digest(`${id} ${push}`),
    };
  }
}

/** Makes a project as large as GitLab's own entries. @param {number} id */
function project(id) {
  return {
    id,
    name: `project-${id}`,
    path_with_namespace: `group/project-${id}`,
    web_url: `https://gitlab.example.com/group/project-${id}`,
    default_branch: 'main',
    archived: false,
    empty_repo: false,
    repository_access_level: 'enabled',
    description: 'x'.repeat(3000),
  };
}

/** @param {number} id */
function tree(id) {
  return Array.from({ length: claimed }, (_, i) => [
    { id: digest(`t${id} ${i}`), type: 'tree', path: `gpu_jobs/job_job_${i}` },
    { id: digest(`b${id} ${i}`), type: 'blob', path: `gpu_jobs/job_job_${i}/response.yaml` },
  ]).flat();
}
