import { AppError } from '../../errors.js';
import type { GitLabClient, GitLabProject } from './client.js';
import { GitLabError } from './errors.js';
import { manifestPath, parseManifest, responsePath, type Manifest } from './manifest.js';
import type { YamlThread } from './yaml-thread.js';

/** Maximum of entries below `gpu_jobs/` that are read. */
const maxEntries = 200_000;

/** A project's manifest and claims, as of one commit. */
export interface Found {
  /** Last commit of the default branch, from which all of this was read. */
  commit: string;
  /** Object id of the manifest. */
  blobId: string;
  manifest: Manifest;
  /** Object ids of each `response.yaml`, by job id; a job that has one is claimed. */
  responses: ReadonlyMap<string, string>;
}

export interface ScannedProject {
  project: GitLabProject;
  /** Undefined without a usable manifest. */
  found: Found | undefined;
  /**
   * Reasons why there is none, or problems of some jobs; one line each. A missing manifest is no
   * problem.
   */
  problems: string[];
  /** Whether the default branch is unchanged since the last scan. */
  isUnchanged: boolean;
}

/**
 * Explains, from the list of projects alone, why no job of a project can be claimed; undefined if
 * one may.
 */
export function whyPassedBy(project: GitLabProject): string | undefined {
  if (!project.hasRepository) return 'its repository is switched off';
  if (project.isEmpty) return 'its repository is empty';
  if (project.defaultBranch === undefined) return 'it has no default branch';
  if (project.archived) return 'it is archived: nothing can be written there, so no job is claimed';
  return undefined;
}

/**
 * Looks for jobs in one project. It requests the manifest at `HEAD`; the reply also names the
 * branch’s last commit. One request is enough if that commit is known or if there is no manifest.
 * No date in the list of projects could save this request: `last_activity_at` may be up to an hour
 * late (GitLab’s app/models/event.rb, RESET_PROJECT_ACTIVITY_INTERVAL).
 * @throws GitLabError when a request fails; the signal’s reason
 */
export async function scanProject(
  { client, yaml }: { client: GitLabClient; yaml: YamlThread },
  project: GitLabProject,
  known: Found | undefined,
  signal?: AbortSignal,
): Promise<ScannedProject> {
  const passedBy = whyPassedBy(project);
  if (passedBy !== undefined)
    return { project, found: undefined, problems: [passedBy], isUnchanged: false };
  const file = await client.readFile(project.id, manifestPath, 'HEAD', signal);
  if (file === undefined) return { project, found: undefined, problems: [], isUnchanged: false };
  if (file.commitId === known?.commit)
    return { project, found: known, problems: known.manifest.problems, isUnchanged: true };
  try {
    const manifest =
      file.blobId === known?.blobId ? known.manifest : await parseManifest(file.content, yaml);
    const responses = await readResponses(client, project.id, file.commitId, manifest, signal);
    const found = { commit: file.commitId, blobId: file.blobId, manifest, responses };
    return { project, found, problems: manifest.problems, isUnchanged: false };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const problems = [`${manifestPath}: ${error.message}`];
    return { project, found: undefined, problems, isUnchanged: false };
  }
}

/**
 * Lists the responses in one listing, however many jobs there are. It lists a commit, so all pages
 * show the same state.
 */
async function readResponses(
  client: GitLabClient,
  projectId: number,
  commit: string,
  { jobs }: Manifest,
  signal: AbortSignal | undefined,
): Promise<Map<string, string>> {
  const responses = new Map<string, string>();
  if (jobs.length === 0) return responses;
  const jobOf = new Map(jobs.map(({ id }) => [responsePath(id), id]));
  let count = 0;
  for await (const entry of client.tree(projectId, 'gpu_jobs', commit, signal)) {
    count += 1;
    if (count > maxEntries)
      throw new GitLabError(`gpu_jobs/ holds more than ${maxEntries} files and folders`);
    const id = jobOf.get(entry.path);
    if (id !== undefined) responses.set(id, entry.id);
  }
  return responses;
}
