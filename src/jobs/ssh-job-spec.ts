import type { JobRequest } from './job.js';
import type { Template } from './templates/template.js';

/** File beside the log of a job that was sent to a host: the script as that host has it. */
export const SENT_SCRIPT = 'script.sh';

/** File beside the log of a job whose host failed: the reason, in a sentence. */
export const HOST_FAILURE = 'host-failure.txt';

/**
 * The parts of a job on an SSH host. The API writes them as `remote/jobs/<job_id>/spec.json`; the
 * process that runs the job from here reads them (`jobrunner remote-run`, as `jr-remote`). Paths
 * are absolute paths of this machine.
 */
export interface SshJobSpec {
  job_id: number;
  /** Random; makes the job's folder on the host no other job's. */
  comment: string;
  experiment_id: string;
  request: JobRequest;
  /** Variables of every job; left out in specs of earlier versions. */
  common_env?: Record<string, string> | undefined;
  template: Template;
  dataset: { sha256: string; original: string; tree: string } | null;
  /** An uploaded script. */
  script: { name: string; path: string } | null;
  /** Folder that the outputs are fetched into. */
  output_dir: string;
  /** Holds the job's log, which Slurm opens. */
  log_dir: string;
}
