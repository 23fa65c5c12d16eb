import { setMaxListeners } from 'node:events';
import { abortWith } from '../../abort.js';
import { bounded } from './bounded.js';
import type { GitLabClient, GitLabProject, ProjectFilter } from './client.js';
import { GitLabAuthenticationError, GitLabConnectionError, GitLabError } from './errors.js';
import { projectFilter } from './project-filter.js';
import { scanProject, type Found, type ScannedProject } from './scan-project.js';
import { YamlThread } from './yaml-thread.js';

export type { Found, ScannedProject } from './scan-project.js';

/** Number of unreachable projects in a row after which GitLab itself counts as unreachable. */
const maxFailuresInRow = 5;
/** Maximum of jobs in kept manifests; other manifests are read again at each scan. */
const maxKeptJobs = 100_000;
/** Maximum length of kept manifests as JSON: anybody may add the token’s user to their projects. */
const maxKeptLength = 64 * 1024 ** 2;

export interface ScannerOptions {
  client: GitLabClient;
  /** Paths, globs or ids of projects, see {@link projectFilter}; an empty list means all. */
  projects?: readonly string[];
  filter?: ProjectFilter;
  /** Number of projects scanned at once. */
  concurrency?: number;
}

/**
 * Scans projects for manifests repeatedly and keeps its findings, so that an unchanged project
 * costs one request. Memory grows only with the jobs of the manifests, not with the number of
 * projects.
 */
export class ProjectScanner {
  readonly #options: ScannerOptions;

  #known = new Map<number, Found>();

  constructor(options: ScannerOptions) {
    this.#options = options;
  }

  /**
   * Yields each project, in no particular order. Problems of one project are in its `problems` and
   * do not affect the others. Do not call it again before it has ended.
   * @throws GitLabAuthenticationError when GitLab rejects the token; GitLabConnectionError when
   *   GitLab is unreachable; the signal’s reason
   */
  async *scan(signal?: AbortSignal): AsyncGenerator<ScannedProject> {
    const { client, filter, projects = [], concurrency = 8 } = this.#options;
    const stopping = new AbortController();
    setMaxListeners(0, stopping.signal);
    const release = signal && abortWith(stopping, signal);
    const yaml = new YamlThread();
    const kept = new Map<number, Found>();
    let keptJobs = 0;
    let keptLength = 0;
    let failuresInRow = 0;
    const look = async (project: GitLabProject): Promise<ScannedProject> => {
      try {
        const known = this.#known.get(project.id);
        const scanned = await scanProject({ client, yaml }, project, known, stopping.signal);
        failuresInRow = 0;
        const { jobs = [], length = 0 } = scanned.found?.manifest ?? {};
        const hasRoom =
          keptJobs + jobs.length <= maxKeptJobs && keptLength + length <= maxKeptLength;
        if (scanned.found !== undefined && hasRoom) {
          kept.set(project.id, scanned.found);
          keptJobs += jobs.length;
          keptLength += length;
        }
        return scanned;
      } catch (error) {
        if (!(error instanceof GitLabError) || isOfAll(error)) throw error;
        failuresInRow = error instanceof GitLabConnectionError ? failuresInRow + 1 : 0;
        if (failuresInRow >= maxFailuresInRow) throw error;
        return { project, found: undefined, problems: [error.message], isUnchanged: false };
      }
    };
    try {
      const all = select(client.projects(filter, stopping.signal), projectFilter(projects));
      yield* bounded(all, concurrency, look, () => {
        stopping.abort();
        void yaml.close();
      });
      this.#known = kept;
    } finally {
      release?.();
      await yaml.close();
    }
  }
}

/** Whether the next project would fail in the same way. */
function isOfAll(error: GitLabError): boolean {
  return error instanceof GitLabAuthenticationError && error.status === 401;
}

async function* select(
  projects: AsyncIterable<GitLabProject>,
  isWanted: (project: GitLabProject) => boolean,
): AsyncGenerator<GitLabProject> {
  for await (const project of projects) if (isWanted(project)) yield project;
}
