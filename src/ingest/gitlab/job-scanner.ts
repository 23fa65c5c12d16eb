import { readGitLabCommandConfig } from '../../config/gitlab-command.js';
import { GitLabClient, type NewContent } from './client.js';
import { GitLabError } from './errors.js';
import { availableJobs, projectScan, type AvailableJob, type ProjectScan } from './scan-rows.js';
import { ProjectScanner, type ScannedProject } from './scanner.js';

export interface GitLabJobScannerOptions {
  /**
   * Access token with the scope `read_api`; creating files needs `api`. Default: `GITLAB_TOKEN` of
   * the environment, then `JR_GITLAB_TOKEN`.
   */
  token?: string | undefined;
  /** Default: `JR_GITLAB_URL` of the environment, then https://gitlab.com. */
  gitlabUrl?: string | undefined;
  /** Maximum of retries of a request; 10 by default. */
  maxRetries?: number | undefined;
  /** Paths, globs or ids of the projects to scan; all by default. */
  projects?: readonly string[] | undefined;
  /** Reports progress on stderr, unless `onProgress` is set. */
  verbose?: boolean | undefined;
  /** Receives progress lines: a `note` concerns a problem or a wait, a `detail` one project. */
  onProgress?: ((line: string, kind: 'note' | 'detail') => void) | undefined;
}

export interface NewFile {
  projectId: number;
  /** Path in the repository. */
  filePath: string;
  content: string | Buffer;
  /** Default: `Create <filePath>`. */
  commitMessage?: string | undefined;
}

/**
 * Finds the GPU jobs that GitLab projects list in `gpu_jobs/manifest.yaml`. It scans all projects
 * that the token can see; on gitlab.com only those whose member its user is, since all public
 * projects are visible there.
 * Each method takes a signal that ends it, and then throws the signal’s reason. It throws
 * GitLabAuthenticationError when GitLab rejects the token, and GitLabConnectionError when GitLab is
 * unreachable. A problem of one project does not end the scan.
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

  /** Lists the jobs that are neither claimed nor canceled. */
  async listAvailableJobs(signal?: AbortSignal): Promise<AvailableJob[]> {
    const jobs = await this.#collect((scanned) => availableJobs(scanned), signal);
    this.#say(`${jobs.length} available jobs`, 'note');
    return jobs;
  }

  /** Scans every project: its manifest, its jobs and their problems. */
  async scanAllProjects(signal?: AbortSignal): Promise<ProjectScan[]> {
    return this.#collect((scanned) => [projectScan(scanned)], signal);
  }

  /**
   * Commits a new file to a project’s default branch.
   * @throws GitLabFileExistsError when the file exists; GitLabNotFoundError when the project does
   *   not; GitLabError when it has no branch
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

  /** Collects rows and sorts them by project id. */
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
