import { AppError, type ErrorCode } from '../errors.js';
import type { JobId } from '../jobs/job.js';
import type { Submitted } from '../jobs/service.js';
import type { IngestRequest } from './source.js';

/** What may go away by itself: the same request is made again. All other refusals are final. */
const passing: readonly ErrorCode[] = [
  'disk_full',
  'limit_reached',
  'quota_exceeded',
  'shutting_down',
  'slurm_unavailable',
  'storage_unavailable',
];

export interface SubmitSteps {
  /** What to submit. */
  request: () => Promise<IngestRequest>;
  /** Throws when the claim is not known to be ours. */
  beforeSubmit: () => Promise<void>;
  submit: (request: IngestRequest) => Promise<Submitted>;
}

/**
 * @returns the job, or why there is none; where Slurm itself refused, there is a job all the same, which was written down before.
 * @throws what may be tried again
 */
export async function submitClaimed(
  steps: SubmitSteps,
): Promise<{ jobId: JobId } | { refusal: string }> {
  try {
    const request = await steps.request();
    await steps.beforeSubmit();
    const submitted = await steps.submit(request);
    if (submitted.kind === 'dry_run') throw new Error('a source asks for no dry run');
    return { jobId: submitted.job.job_id };
  } catch (error) {
    if (!(error instanceof AppError) || passing.includes(error.code)) throw error;
    return { refusal: error.message };
  }
}
