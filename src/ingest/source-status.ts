import type { Pause } from './claims.js';
import { isoTime } from '../iso-time.js';
import type { IngestSourceView } from './replies.js';
import type { ScanIssue } from './scan-issues.js';

/** Status of an ingest source. Times are milliseconds since 1970. */
export interface IngestSourceStatus {
  name: string;
  /** Name it claims under; null where no other server claims. */
  worker: string | null;
  paused: Pause | null;
  /** Seconds between the starts of two scans. */
  interval_seconds: number;
  /** Maximum of jobs taken and not ended; null for no limit. */
  max_jobs: number | null;
  last_scan: number | null;
  last_scan_seconds: number | null;
  /** Error of the last scan that failed. */
  last_error: { at: number; message: string } | null;
  /** Failures that are retried, newest first. */
  errors: readonly ScanIssue[];
  /** Number of errors and new problems since the start. */
  error_count: number;
  /** Problems found by the last scan. */
  problems: readonly ScanIssue[];
  problem_count: number;
  /** Claimable jobs found by the last scan. */
  found: number;
  /** Jobs of this server that are being submitted, waiting in Slurm, or to be reported. */
  claimed: number;
  running: number;
  /** Jobs that ended and were reported. */
  done: number;
  /** Items reported as impossible to submit. */
  failed: number;
  /** Claims that another server took over, or that were removed. */
  lost: number;
}

/** Converts a status to its reply. */
export function viewSource(status: IngestSourceStatus): IngestSourceView {
  const { paused, last_scan: scanned, last_error: error } = status;
  const view = (issue: ScanIssue) => ({ ...issue, at: isoTime(issue.at) });
  return {
    ...status,
    paused: paused && { by: paused.by, at: isoTime(paused.at) },
    last_scan: isoTime(scanned),
    last_error: error && { ...error, at: isoTime(error.at) },
    errors: status.errors.map(view),
    problems: status.problems.map(view),
  };
}
