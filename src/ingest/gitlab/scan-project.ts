import { AppError } from '../../errors.js';
import type { GitLabClient, GitLabProject } from './client.js';
import { GitLabError } from './errors.js';
import { manifestPath, parseManifest, responsePath, type Manifest } from './manifest.js';
import type { YamlThread } from './yaml-thread.js';

/** More than that below `gpu_jobs/` is not looked through. */
const maxEntries = 200_000;

/** A project's manifest and claims, as of one commit. */
export interface Found {
  /** The default branch's last commit, of which all of this is read. */
  commit: string;
  /** Of the manifest's content. */
  blobId: string;
  manifest: Manifest;
  /** By the id of a job of the manifest, the blob of its `response.yaml`: a job that has one is claimed. */
  responses: ReadonlyMap<string, string>;
}

export interface ScannedProject {
  project: GitLabProject;
  /** Undefined when there is no manifest, or none that can be used. */
  found: Found | undefined;
  /** Why there is none, or what is wrong with some of its jobs; one line each. No manifest at all is no problem. */
  problems: string[];
  /** Whether its default branch has not moved since the scan before. */
  isUnchanged: boolean;
}

/** Why nothing can be claimed in a project, by what the list of projects says of it; undefined when something may. */
export function whyPassedBy(project: GitLabProject): string | undefined {
  if (!project.hasRepository) return 'its repository is switched off';
  if (project.isEmpty) return 'its repository is empty';
  if (project.defaultBranch === undefined) return 'it has no default branch';
  if (project.archived) return 'it is archived: nothing can be written there, so no job is claimed';
  return undefined;
}

/**
 * Looks for jobs in one project. The manifest is asked for at `HEAD`, whose reply names the branch's last commit as well: as long as that is the one known,
 * this is all, and a project without a manifest never takes more than it. The list of projects has no date that would save it: `last_activity_at`
 * may be up to an hour behind (GitLab's app/models/event.rb, RESET_PROJECT_ACTIVITY_INTERVAL).
 * @throws GitLabError what the project's requests failed of; the signal's reason
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

/** In one listing, whatever the number of jobs; at a commit, so that no page is of another state. */
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
