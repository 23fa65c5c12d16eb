import type { Failure, JobId, JobState } from '../jobs/job.js';

/** Outcome of a claimed item. Times are milliseconds since 1970. */
export interface Outcome {
  /**
   * Slurm’s state of the ended job. An item without a job has `REJECTED`, or `CANCELLED` if it was
   * cancelled first.
   */
  status: JobState;
  jobId: JobId | null;
  experimentId: string | null;
  exitCode: number | null;
  signal: number | null;
  failure: Failure | null;
  /** Reason why the job did not complete. */
  message: string | null;
  submittedAt: number | null;
  startedAt: number | null;
  endedAt: number | null;
  outputs: OutcomeOutput[];
  /** Warnings about the outputs. */
  warnings: string[];
  /** End of the job’s log: any bytes, read as UTF-8. */
  log: string;
  /** Folder of the outputs. The job owns it and may have put anything there. */
  outputDir: string | null;
}

export interface OutcomeOutput {
  id: string;
  /** Path below `outputDir`. */
  path: string;
  kind: 'file' | 'folder';
  /** Bytes. */
  size: number;
  /** Digest of a file; null for a folder. */
  sha256: string | null;
  /** Download URL, for a caller with a token of this service; null without `JR_PUBLIC_URL`. */
  url: string | null;
}

/** Makes the outcome of an item that never became a job. */
export function neverRun(isCancelled: boolean, message: string): Outcome {
  return {
    status: isCancelled ? 'CANCELLED' : 'REJECTED',
    jobId: null,
    experimentId: null,
    exitCode: null,
    signal: null,
    failure: isCancelled ? 'cancelled' : 'submit',
    message,
    submittedAt: null,
    startedAt: null,
    endedAt: null,
    outputs: [],
    warnings: [],
    log: '',
    outputDir: null,
  };
}
