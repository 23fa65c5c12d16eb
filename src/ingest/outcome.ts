import type { Failure, JobId, JobState } from '../jobs/job.js';

/** What became of a claimed item. Times are milliseconds since 1970. */
export interface Outcome {
  /** Slurm's state of the ended job. Of what never became one: `REJECTED`, or `CANCELLED` when it was called off before. */
  status: JobState;
  jobId: JobId | null;
  experimentId: string | null;
  exitCode: number | null;
  signal: number | null;
  failure: Failure | null;
  /** Why it did not complete. */
  message: string | null;
  submittedAt: number | null;
  startedAt: number | null;
  endedAt: number | null;
  outputs: OutcomeOutput[];
  /** About the outputs. */
  warnings: string[];
  /** The end of its log as the job wrote it: any bytes, read as UTF-8. */
  log: string;
  /** Where the outputs lie; a job owns it, and may have put anything there. */
  outputDir: string | null;
}

export interface OutcomeOutput {
  id: string;
  /** Below `outputDir`. */
  path: string;
  kind: 'file' | 'folder';
  /** Bytes. */
  size: number;
  /** Of a file. */
  sha256: string | null;
  /** Where it can be downloaded with a token of this service; null unless `JR_PUBLIC_URL` says where that is. */
  url: string | null;
}

/** The outcome of what never became a job. */
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
