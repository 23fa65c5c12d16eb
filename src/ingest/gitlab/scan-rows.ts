import { manifestPath, type ManifestJob } from './manifest.js';
import type { ScannedProject } from './scan-project.js';

/** A job that is neither claimed nor canceled. */
export interface AvailableJob {
  job_id: string;
  project_id: number;
  project_name: string;
  /** URL of the manifest’s page. */
  project_url: string;
  /** The job as written in the manifest. */
  job_data: Record<string, unknown>;
}

/** A job with all its fields in the manifest. */
export interface ScannedJob {
  job_id: string;
  is_claimed: boolean;
  canceled: boolean;
  [field: string]: unknown;
}

/** Result of a scan of one project. */
export interface ProjectScan {
  project_id: number;
  project_name: string;
  project_path: string;
  default_branch: string | null;
  /** The manifest’s URL and content; both are null without a usable manifest. */
  manifest_url: string | null;
  manifest_data: Record<string, unknown> | null;
  jobs: ScannedJob[];
  /** Reason why the project was skipped, or problems of its manifest or its jobs. */
  error: string | null;
}

export function projectScan(scanned: ScannedProject): ProjectScan {
  const { project, found, problems } = scanned;
  return {
    project_id: project.id,
    project_name: project.name,
    project_path: project.path,
    default_branch: project.defaultBranch ?? null,
    manifest_url: found === undefined ? null : manifestUrl(scanned),
    manifest_data: found?.manifest.data ?? null,
    jobs: (found?.manifest.jobs ?? []).map(({ id, canceled, fields }) => ({
      ...fields,
      job_id: id,
      is_claimed: found?.responses.has(id) ?? false,
      canceled,
    })),
    error: problems.length === 0 ? null : problems.join('; '),
  };
}

export function availableJobs(scanned: ScannedProject): AvailableJob[] {
  const { project, found } = scanned;
  if (found === undefined) return [];
  const isAvailable = ({ id, canceled }: ManifestJob) => !canceled && !found.responses.has(id);
  return found.manifest.jobs.filter(isAvailable).map(({ id, fields }) => ({
    job_id: id,
    project_id: project.id,
    project_name: project.name,
    project_url: manifestUrl(scanned),
    job_data: fields,
  }));
}

function manifestUrl({ project: { webUrl, defaultBranch = 'HEAD' } }: ScannedProject): string {
  const branch = defaultBranch.split('/').map(encodeURIComponent).join('/');
  return `${webUrl}/-/blob/${branch}/${manifestPath}`;
}
