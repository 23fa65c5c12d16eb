import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../errors.js';
import type { Job, JobId } from '../jobs/job.js';
import type { JobFolders } from '../jobs/job-folders.js';
import { logTail } from '../jobs/log-file.js';
import type { JobService } from '../jobs/service.js';
import type { JobOutputs, OutputService } from '../outputs/service.js';
import { neverRun, type Outcome, type OutcomeOutput } from './outcome.js';

/**
 * Maximum wait for outputs that a worker has yet to deliver, and the interval between two checks.
 */
const maxWaitMs = 10 * 60_000;
const pollMs = 2000;

export interface OutcomeParts {
  jobs: Pick<JobService, 'get'>;
  outputs: Pick<OutputService, 'indexJob'>;
  folders: JobFolders;
  /**
   * Describes the outputs of an ended job that are still to arrive; undefined when all are here.
   */
  onTheWay: (id: JobId) => string | undefined;
  /** URL of this service for its users, without a slash at its end. */
  publicUrl: string | undefined;
  now: () => number;
}

/**
 * Reads the outcome of an ended job, after indexing its outputs.
 * @throws AppError as `outputs.indexJob` does
 */
export async function readOutcome(
  parts: OutcomeParts,
  id: JobId,
  signal: AbortSignal,
): Promise<Outcome> {
  const { outputs, folders, now } = parts;
  for (const from = now(); parts.onTheWay(id) !== undefined && now() - from < maxWaitMs;)
    await delay(pollMs, undefined, { signal });
  let job: Job;
  let found: JobOutputs;
  try {
    job = parts.jobs.get(id);
    found = await outputs.indexJob(id);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
    return {
      ...neverRun(true, `job ${id} was deleted before its outcome was reported`),
      jobId: id,
    };
  }
  return {
    status: job.state,
    jobId: id,
    experimentId: job.experiment_id,
    exitCode: job.exit_code,
    signal: job.signal,
    failure: job.failure,
    message: job.message,
    submittedAt: job.submitted_at,
    startedAt: job.started_at,
    endedAt: job.ended_at,
    outputs: found.outputs.map((output): OutcomeOutput => {
      const { outputId, path, kind, size, sha256 } = output;
      return {
        id: outputId,
        path,
        kind,
        size,
        sha256,
        url: downloadUrl(parts.publicUrl, id, path),
      };
    }),
    warnings: found.warnings,
    log: await logTail(folders, job),
    outputDir: folders.of(id).outputDir,
  };
}

function downloadUrl(publicUrl: string | undefined, id: JobId, path: string): string | null {
  if (publicUrl === undefined) return null;
  return `${publicUrl}/outputs/download_by_job?job_id=${id}&rel_path=${encodeURIComponent(path)}`;
}
