import type { Brand } from '../brand.js';
import type { Sha256 } from '../datasets/digest.js';
import type { SlurmState } from '../cluster/slurm/states.js';

/** Our number of a job; Slurm's own starts again at 1 with every fresh Slurm. */
export type JobId = Brand<number, 'JobId'>;

/** Slurm's states, and two of ours: written down but not yet accepted, and refused by Slurm. */
export type JobState = SlurmState | 'SUBMITTING' | 'REJECTED';

/** Why a job did not complete. */
export type Failure =
  'user_code' | 'out_of_memory' | 'time_limit' | 'cancelled' | 'node' | 'submit';

/** What the caller asked for, checked and with its defaults; kept so that the job can be run again. */
export interface JobRequest {
  command_key: string;
  dataset_sha?: Sha256 | undefined;
  /** Whole GPUs, or a fraction of one. */
  gpus: number;
  /** Memory of one GPU, in GiB, instead of a fraction. */
  gpu_mem_gb?: number | undefined;
  allowed_gpus?: number[] | undefined;
  /** The site's type of GPU, as its Slurm names it. */
  gpu_type?: string | undefined;
  /** The model whose need decided `gpus`. */
  llm?: string | undefined;
  /** Lower runs first. */
  priority: number;
  /** Activated before the command runs. */
  conda_env?: string | undefined;
  /** Absolute path of a Python virtual environment, activated before the command runs. */
  venv?: string | undefined;
  /** Inside GNU screen. */
  screen: boolean;
  /** Queued again, instead of failed, when its node is gone. */
  requeue?: true | undefined;
  /** `add`: the arguments get `--cuda` with the GPUs' indices even if they do not hold it. */
  cuda: 'replace' | 'add';
  cpus: number;
  mem_gb: number;
  /** Slurm's format. */
  time_limit: string;
  /** Seconds that the command may take; kept to by the job's script, where Slurm counts minutes. */
  timeout?: number | undefined;
  /** Standard error stands in its own file alone, not in the log too. */
  split_log?: boolean | undefined;
  experiment_id?: string | undefined;
  name: string;
  params: Record<string, unknown>;
  env: Record<string, string>;
  command?: string | undefined;
  args: string[];
  script_name?: string | undefined;
  partition?: string | undefined;
}

/** A job as SQLite keeps it. Times are milliseconds since 1970. */
export interface Job {
  job_id: JobId;
  /** Whose it is. */
  user: string;
  /** The Unix user that it runs as; null on a site, and for jobs of a time when all ran as that of the box's owner. */
  unix_user: string | null;
  slurm_job_id: number | null;
  /** Random; ties the row to Slurm's record of the job. */
  comment: string;
  experiment_id: string;
  request: JobRequest;
  state: JobState;
  terminal: boolean;
  reason: string | null;
  exit_code: number | null;
  signal: number | null;
  failure: Failure | null;
  message: string | null;
  node_list: string | null;
  submitted_at: number;
  started_at: number | null;
  ended_at: number | null;
  /** Lower runs first. */
  priority: number;
  /** What Slurm is asked for, such as `shard:nvidia2:60` or `shard:50`; null for no GPU. */
  gres: string | null;
  /** The GPUs it was given; null until it starts. */
  gpu_indices: number[] | null;
  /** What is odd about it while it runs. */
  warning: string | null;
  /**
   * While it is being moved: Slurm's number of the job it takes the place of, and that one's priority there. As long as this is
   * `slurm_job_id` itself, that job may be held and is to be released; while SUBMITTING, it is to be cancelled first. While a
   * job is held over the API, the second is the place it had.
   */
  moved_from: number | null;
  slurm_priority: number | null;
  /** Refusals it came back from, and when it is handed over again. */
  attempts: number;
  next_attempt_at: number | null;
}
