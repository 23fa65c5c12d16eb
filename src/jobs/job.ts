import type { Brand } from '../brand.js';
import type { Sha256 } from '../datasets/digest.js';
import type { SlurmState } from '../slurm/states.js';

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
  gpus: number;
  cpus: number;
  mem_gb: number;
  /** Slurm's format. */
  time_limit: string;
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
}
