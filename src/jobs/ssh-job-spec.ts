import type { JobRequest } from './job.js';
import type { Template } from './templates/template.js';

/** Stands beside the job's log once it has been sent to a host: the script as that host has it. */
export const SENT_SCRIPT = 'script.sh';

/** Stands there once it was the host, and not the job, that failed: why, in a sentence. */
export const HOST_FAILURE = 'host-failure.txt';

/**
 * What a job on an SSH host is made of: written by the API as `remote/jobs/<job_id>/spec.json`, read by the process that runs
 * the job from here (`jobrunner remote-run`, as `jr-remote`). Paths are absolute ones of this machine.
 */
export interface SshJobSpec {
  job_id: number;
  /** Random; makes the job's folder on the host no other job's. */
  comment: string;
  experiment_id: string;
  request: JobRequest;
  template: Template;
  dataset: { sha256: string; original: string; tree: string } | null;
  /** An uploaded script. */
  script: { name: string; path: string } | null;
  /** Where the outputs are fetched to. */
  output_dir: string;
  /** Holds the job's log, which Slurm opens. */
  log_dir: string;
}
