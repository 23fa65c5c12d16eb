import { readGitLabCommandConfig } from '../../config/gitlab-command.js';
import { GitLabClient, type NewContent } from './client.js';
import { GitLabError } from './errors.js';
import { availableJobs, projectScan, type AvailableJob, type ProjectScan } from './scan-rows.js';
import { ProjectScanner, type ScannedProject } from './scanner.js';

export interface GitLabJobScannerOptions {
  /** An access token with the scope `read_api`; to create files, `api`. When not given: `GITLAB_TOKEN` of the environment, then `JR_GITLAB_TOKEN`. */
  token?: string | undefined;
  /** When not given: `JR_GITLAB_URL` of the environment, then https://gitlab.com. */
  gitlabUrl?: string | undefined;
  /** How often a request is tried again; 10 when not given. */
  maxRetries?: number | undefined;
  /** Paths, globs or numbers of the projects to look at; all when not given. */
  projects?: readonly string[] | undefined;
  /** Says on stderr what it is doing, unless `onProgress` is told. */
  verbose?: boolean | undefined;
  /** A line about what goes on: a `note` is about a problem or a wait, a `detail` about each project. */
  onProgress?: ((line: string, kind: 'note' | 'detail') => void) | undefined;
}

export interface NewFile {
  projectId: number;
  /** In the repository. */
  filePath: string;
  content: string | Buffer;
  /** `Create <filePath>` when not given. */
  commitMessage?: string | undefined;
}

/**
 * Finds the GPU jobs that GitLab projects have written into `gpu_jobs/manifest.yaml`. All projects are looked at that the token can see; on gitlab.com, where
 * those are every public one, those that its user is a member of. Each method may be given a signal that ends it, whose reason it then throws, and throws
 * GitLabAuthenticationError when the token is refused and GitLabConnectionError when GitLab cannot be reached. What is wrong with one project ends nothing.
 */
export class GitLabJobScanner {
  readonly #client: GitLabClient;
  readonly #scanner: ProjectScanner;
  readonly #say: (line: string, kind: 'note' | 'detail') => void;

  /** @throws NoTokenProvidedError; GitLabError when the URL or the token cannot be used. */
  constructor(options: GitLabJobScannerOptions = {}) {
    const { gitlabUrl, token, maxRetries, projects = [], verbose = false } = options;
    const config = readGitLabCommandConfig({ url: gitlabUrl, token });
    this.#say =
      options.onProgress ??
      ((line) => {
        if (verbose) process.stderr.write(`${line}\n`);
      });
    this.#client = new GitLabClient({
      ...config,
      maxRetries,
      onRetry: (why, ms) => this.#say(`${why}; trying again in ${ms / 1000} s`, 'note'),
    });
    const isPublic = new URL(config.url).hostname === 'gitlab.com';
    this.#scanner = new ProjectScanner({
      client: this.#client,
      projects,
      filter: { membership: isPublic },
    });
  }

  /** The jobs that are neither claimed nor canceled. */
  async listAvailableJobs(signal?: AbortSignal): Promise<AvailableJob[]> {
    const jobs = await this.#collect((scanned) => availableJobs(scanned), signal);
    this.#say(`${jobs.length} available jobs`, 'note');
    return jobs;
  }

  /** Every project, with its manifest, its jobs, and what is wrong with it. */
  async scanAllProjects(signal?: AbortSignal): Promise<ProjectScan[]> {
    return this.#collect((scanned) => [projectScan(scanned)], signal);
  }

  /**
   * Commits a new file to a project's default branch.
   * @throws GitLabFileExistsError when there is one of that name; GitLabNotFoundError when there is no such project; GitLabError when it has no branch
   */
  async createFile(
    { projectId, filePath, content, commitMessage }: NewFile,
    signal?: AbortSignal,
  ): Promise<{ project_id: number; file_path: string; branch: string }> {
    const { defaultBranch } = await this.#client.project(projectId, signal);
    if (defaultBranch === undefined)
      throw new GitLabError(
        `project ${projectId} has no default branch: push a first commit to it`,
      );
    const message = commitMessage ?? `Create ${filePath}`;
    const file: NewContent = { path: filePath, branch: defaultBranch, content, message };
    await this.#client.createFile(projectId, file, {}, signal);
    this.#say(`${filePath} created on ${defaultBranch}`, 'note');
    return { project_id: projectId, file_path: filePath, branch: defaultBranch };
  }

  /** By rising project number, whichever was answered first. */
  async #collect<Row extends { project_id: number }>(
    rowsOf: (scanned: ScannedProject) => Row[],
    signal: AbortSignal | undefined,
  ): Promise<Row[]> {
    const rows: Row[] = [];
    let count = 0;
    for await (const scanned of this.#scanner.scan(signal)) {
      count += 1;
      this.#tell(scanned);
      rows.push(...rowsOf(scanned));
    }
    this.#say(`${count} projects scanned`, 'note');
    return rows.sort((a, b) => a.project_id - b.project_id);
  }

  #tell({ project, found, problems }: ScannedProject): void {
    for (const problem of problems) this.#say(`${project.path}: ${problem}`, 'note');
    if (found !== undefined)
      this.#say(
        `${project.path}: ${found.manifest.jobs.length} jobs, ${found.responses.size} claimed`,
        'detail',
      );
    else if (problems.length === 0) this.#say(`${project.path}: no manifest`, 'detail');
  }
}
