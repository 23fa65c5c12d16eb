import type { Pause } from './claims.js';
import { isoTime } from '../iso-time.js';
import type { IngestSourceView } from './replies.js';
import type { ScanIssue } from './scan-issues.js';

/** How a way in stands. Times are milliseconds since 1970. */
export interface IngestSourceStatus {
  name: string;
  /** As which it claims; null where nobody else could. */
  worker: string | null;
  paused: Pause | null;
  /** Between the starts of two scans. */
  interval_seconds: number;
  /** Taken and not ended, at most; null for no limit. */
  max_jobs: number | null;
  last_scan: number | null;
  last_scan_seconds: number | null;
  /** Why a scan could not be made, the last time that this was so. */
  last_error: { at: number; message: string } | null;
  /** What failed and is tried again, newest first. */
  errors: readonly ScanIssue[];
  /** Of errors and new problems, since the start. */
  error_count: number;
  /** What the last scan found wrong out there. */
  problems: readonly ScanIssue[];
  problem_count: number;
  /** What the last scan found that may be claimed. */
  found: number;
  /** Ours, and not running: on its way to Slurm, waiting there, or to be reported. */
  claimed: number;
  running: number;
  /** Reported, however the job ended. */
  done: number;
  /** Could not become a job, and was reported so. */
  failed: number;
  /** Taken over by another, or taken away. */
  lost: number;
}

/** As the API shows it. */
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
