import type { ScanNotes } from '../source.js';
import type { GitLabProject } from './client.js';
import { GitLabError } from './errors.js';
import { ForeignClaims, type ForeignClaimsParts } from './foreign-claims.js';
import { keyOf, type GitLabItem } from './item.js';
import { readJobTypes, type JobTypes } from './job-types.js';
import { whyPassedBy } from './scan-project.js';
import { ProjectScanner, type Found } from './scanner.js';
import { whyUnmapped } from './submit-fields.js';

/**
 * Lowest role that may write into a repository (docs.gitlab.com/api/access_requests, “Developer”).
 * Other users could claim nothing.
 */
const developer = 30;
/**
 * Maximum of jobs with unmapped types reported for one project, so that other problems stay
 * visible.
 */
const maxUnmapped = 100;

export interface JobScanParts extends ForeignClaimsParts {
  jobTypesFile: string;
  /** Lists the templates that there are. */
  commandKeys: () => Promise<readonly string[]>;
  /** Paths, globs or ids of projects; an empty list means all. */
  projects: readonly string[];
}

/** Scans the projects for claimable jobs. */
export class JobScan {
  readonly #parts: JobScanParts;

  readonly #scanner: ProjectScanner;
  readonly #foreign: ForeignClaims;

  constructor(parts: JobScanParts) {
    this.#parts = parts;

    const { client, projects } = parts;
    this.#scanner = new ProjectScanner({
      client,
      projects,
      filter: { minAccessLevel: developer },
    });
    this.#foreign = new ForeignClaims(parts);
  }

  /** Reads the mapping of types. @throws Error when it is unusable */
  async jobTypes(): Promise<JobTypes> {
    const { jobTypesFile, commandKeys } = this.#parts;
    return readJobTypes(jobTypesFile, await commandKeys());
  }

  /**
   * Yields the claimable jobs.
   * @throws GitLabError when GitLab as a whole is unusable; another Error when the mapping of types
   *   is unusable
   */
  async *run(notes: ScanNotes, signal: AbortSignal): AsyncGenerator<GitLabItem> {
    const types = await this.jobTypes();
    this.#parts.expired.beginScan();
    const seen = new Set<number>();
    for await (const { project, found, problems } of this.#scanner.scan(signal)) {
      if (whyPassedBy(project) !== undefined) continue;
      for (const problem of problems) notes.problem(project.path, problem);
      if (found === undefined) continue;
      seen.add(project.id);
      yield* await this.#claimable(project, found, types, notes, signal);
    }
    this.#foreign.keepOnly(seen);
  }

  async #claimable(
    project: GitLabProject,
    found: Found,
    types: JobTypes,
    notes: ScanNotes,
    signal: AbortSignal,
  ): Promise<GitLabItem[]> {
    const { id, path } = project;
    const expired = await this.#expired(project, found, notes, signal);
    const items: GitLabItem[] = [];
    let unmapped = 0;
    for (const { id: jobId, canceled, fields } of found.manifest.jobs) {
      const key = keyOf(id, jobId);
      if (canceled) notes.cancelled(key);
      const isTaken = found.responses.has(jobId) && !expired.has(jobId);
      if (canceled || isTaken) continue;
      const title = `${path}: ${jobId}`;
      const why = whyUnmapped(fields, types);
      if (why !== undefined) {
        unmapped += 1;
        if (unmapped <= maxUnmapped) notes.problem(title, why);
        continue;
      }
      items.push({
        key,
        title,
        projectId: id,
        projectPath: path,
        branch: project.defaultBranch ?? '',
        jobId,
        fields,
        commit: found.commit,
        expired: expired.get(jobId) ?? null,
      });
    }
    const more = unmapped - maxUnmapped;
    if (more > 0)
      notes.problem(path, `job_type: the types of ${more} more jobs have no command key here`);
    return items;
  }

  async #expired(
    { id, path }: GitLabProject,
    found: Found,
    notes: ScanNotes,
    signal: AbortSignal,
  ): ReturnType<ForeignClaims['expiredIn']> {
    try {
      return await this.#foreign.expiredIn(id, found, signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof GitLabError)) throw error;
      notes.problem(path, error.message);
      return new Map();
    }
  }
}
