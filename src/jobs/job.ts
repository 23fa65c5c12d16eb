import type { Brand } from '../brand.js';
import type { GpuShards } from '../cluster/gpus/request.js';
import { slurmStates } from '../cluster/slurm/states.js';
import type { JobRequest } from './request.js';

export type { JobRequest } from './request.js';

/** Our number of a job; Slurm's own starts again at 1 with every fresh Slurm. */
export type JobId = Brand<number, 'JobId'>;

/** Slurm's states, and two of ours: stored but not yet accepted, and refused by Slurm. */
export const jobStates = [...slurmStates, 'SUBMITTING', 'REJECTED'] as const;
export type JobState = (typeof jobStates)[number];

/** Reasons why a job did not complete. */
export const failures = [
  'user_code',
  'out_of_memory',
  'time_limit',
  'cancelled',
  'node',
  'submit',
] as const;
export type Failure = (typeof failures)[number];

/** A job as SQLite keeps it. Times are milliseconds since 1970. */
export interface Job {
  job_id: JobId;
  /** Whose it is. */
  user: string;
  /** The Unix user that it runs as; null on an external cluster, and for jobs of a time when all ran as that of the box's owner. */
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
  /** The same as data; null for no GPU, and where an external Slurm counts its own GPUs. */
  gpu_shards: GpuShards | null;
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
