import { AppError } from '../errors.js';
import type { JobId } from '../jobs/job.js';
import type { Submitted } from '../jobs/service.js';
import type { IngestRequest } from './source.js';

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
  let request: IngestRequest;
  try {
    request = await steps.request();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { refusal: error.message };
  }
  await steps.beforeSubmit();
  try {
    const submitted = await steps.submit(request);
    if (submitted.kind === 'dry_run') throw new Error('a source asks for no dry run');
    return { jobId: submitted.job.job_id };
  } catch (error) {
    if (!(error instanceof AppError) || !isFinal(error)) throw error;
    return { refusal: error.message };
  }
}

/**
 * Whether it is what the item says itself: its parameters, arguments and timeout. All else is as whoever runs this box has set it, or
 * there is none of it just now, as while the workers of a partition are away: the same request is made again.
 */
function isFinal({ code, details }: AppError): boolean {
  return code === 'bad_request' || code === 'slurm_refused' || details?.['field'] === 'timeout';
}
