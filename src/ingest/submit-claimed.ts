import { AppError, fieldsOfError } from '../errors.js';
import type { JobId } from '../jobs/job.js';
import type { Submitted } from '../jobs/service.js';
import type { IngestRequest } from './source.js';

export interface SubmitSteps {
  /** Makes the request. */
  request: () => Promise<IngestRequest>;
  /** Throws when the claim is not certainly ours. */
  beforeSubmit: () => Promise<void>;
  submit: (request: IngestRequest) => Promise<Submitted>;
}

/**
 * Submits a claimed item.
 * @returns the job, or the reason why there is none. When Slurm refuses, the job exists all the
 *   same, since it was recorded first.
 * @throws an error after which the call may be repeated
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
    if (submitted.kind === 'dry_run')
      throw new Error('an ingest source must not request a dry run');
    return { jobId: submitted.job.job_id };
  } catch (error) {
    if (!(error instanceof AppError) || !isFinal(error)) throw error;
    return { refusal: error.message };
  }
}

/**
 * Whether the item itself is wrong: its parameters, arguments or timeout.
 * Any other refusal comes from this server’s settings or from a passing state, such as a partition
 * whose workers are away. The same request is then made again.
 */
function isFinal(error: AppError): boolean {
  const { code } = error;
  return (
    code === 'bad_request' || code === 'slurm_refused' || fieldsOfError(error).includes('timeout')
  );
}
