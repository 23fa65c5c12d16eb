import type { JobId, JobState } from '../../jobs/job.js';
import type { Pauses } from '../pauses.js';
import type { IngestSourceStatus } from '../source-status.js';
import type { RunningSource } from '../running-sources.js';
import type { Api } from '../../http/api.js';
import { jobsFileRoutes } from './http-routes.js';
import type { JobsFile } from './jobs-file.js';
import type { ProcessedLines } from './processed-lines.js';

export const JOBS_FILE = 'jobs-file';

const shownProblems = 100;

export interface JobsFileSourceParts {
  jobsFile: JobsFile;
  processed: ProcessedLines;
  seconds: number;
  pauses: Pauses;
  countStates: (ids: JobId[]) => { state: JobState; terminal: boolean; count: number }[];
}

/**
 * The jobs file as an ingest source. No other server takes from it, so its lines need no claims.
 */
export class JobsFileSource implements RunningSource {
  readonly #parts: JobsFileSourceParts;

  readonly name = JOBS_FILE;

  constructor(parts: JobsFileSourceParts) {
    this.#parts = parts;
  }

  pause(by: string): void {
    this.#parts.pauses.pause(this.name, by);
  }

  resume(): void {
    this.#parts.pauses.resume(this.name);
    this.#parts.jobsFile.resumed();
  }

  mount(api: Api): void {
    jobsFileRoutes(api, this.#parts.jobsFile);
  }

  status(): IngestSourceStatus {
    const { jobsFile, processed, seconds, pauses, countStates } = this.#parts;
    const last = jobsFile.lastScan;
    const at = last?.at ?? null;
    const problems = last?.problems ?? [];
    const states = countStates(processed.jobIds);
    const count = (which: (job: { state: JobState; terminal: boolean }) => boolean) =>
      states.filter(which).reduce((sum, { count: more }) => sum + more, 0);
    return {
      name: this.name,
      worker: null,
      paused: pauses.of(this.name) ?? null,
      interval_seconds: seconds,
      max_jobs: null,
      last_scan: at,
      last_scan_seconds: last === undefined ? null : last.ms / 1000,
      last_error: null,
      errors: [],
      error_count: jobsFile.problemTotal,
      problems: problems.slice(0, shownProblems).map(({ line, message }) => ({
        at: at ?? 0,
        where: line === null ? null : `line ${line}`,
        message,
      })),
      problem_count: problems.length,
      found: (last?.lines ?? 0) - (last?.submitted ?? 0),
      claimed: count(({ state, terminal }) => !terminal && state !== 'RUNNING'),
      running: count(({ state }) => state === 'RUNNING'),
      done: count(({ state, terminal }) => terminal && state !== 'REJECTED'),
      failed: count(({ state }) => state === 'REJECTED'),
      lost: 0,
    };
  }
}
