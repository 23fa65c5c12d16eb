import type { Brand } from '../brand.js';
import type { GpuShards } from '../cluster/gpus/request.js';
import { slurmStates } from '../cluster/slurm/states.js';
import type { JobRequest } from './request.js';

export type { JobRequest } from './request.js';

/** Our number of a job; Slurm's own numbers restart at 1 with every fresh Slurm. */
export type JobId = Brand<number, 'JobId'>;

/** Slurm's states, and two of ours: stored but not yet accepted, and refused by Slurm. */
export const jobStates = [...slurmStates, 'SUBMITTING', 'REJECTED'] as const;
export type JobState = (typeof jobStates)[number];

/** Reasons why a job did not complete. */
export const failures = [
  'user_code',
  'out_of_memory',
  'time_limit',
  'storage',
  'cancelled',
  'node',
  'submit',
] as const;
export type Failure = (typeof failures)[number];

/** A job as SQLite keeps it. Times are milliseconds since 1970. */
export interface Job {
  job_id: JobId;
  /** The user whose job it is. */
  user: string;
  /**
   * The Unix user that the job runs as. Null on an external cluster, and for jobs stored when all
   * ran as the owner's.
   */
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
  /** The GPUs as `--gres` takes them, such as `shard:nvidia2:60` or `shard:50`; null for none. */
  gres: string | null;
  /** The same as data; null for no GPU, and where an external Slurm counts its own GPUs. */
  gpu_shards: GpuShards | null;
  /** The job's GPUs; null until it starts. */
  gpu_indices: number[] | null;
  /** A problem noticed while the job runs. */
  warning: string | null;
  /**
   * In a move: Slurm's number of the record that this job replaces, and that record's priority.
   * While `moved_from` equals `slurm_job_id`, the record may be held and must be released. While
   * the state is SUBMITTING, the record must be cancelled first. While a job is held over the API,
   * `slurm_priority` is the priority it had.
   */
  moved_from: number | null;
  slurm_priority: number | null;
  /** Number of refusals and failed starts so far, and the time of the next attempt. */
  attempts: number;
  next_attempt_at: number | null;
}
