import type { GpuShards } from '../cluster/gpus/request.js';
import type { Job } from './job.js';
import { readJobRequest } from './request.js';

/** SQLite's types: a number for a boolean, JSON for a list or an object. */
type Stored<T> = T extends boolean ? number : T extends string | number | null ? T : string;
export type JobRow = { [K in keyof Job]: Stored<Job[K]> };

const columnNames: Record<keyof Job, true> = {
  job_id: true,
  user: true,
  unix_user: true,
  slurm_job_id: true,
  comment: true,
  experiment_id: true,
  request: true,
  state: true,
  terminal: true,
  reason: true,
  exit_code: true,
  signal: true,
  failure: true,
  message: true,
  node_list: true,
  submitted_at: true,
  started_at: true,
  ended_at: true,
  priority: true,
  gres: true,
  gpu_shards: true,
  gpu_indices: true,
  warning: true,
  attempts: true,
  next_attempt_at: true,
  moved_from: true,
  slurm_priority: true,
};
/** The columns of {@link JobRow}, for SELECT. */
export const columns = Object.keys(columnNames).join(', ');

export function toJob(row: JobRow): Job {
  const { gpu_shards: shards, gpu_indices: indices } = row;
  return {
    ...row,
    request: readJobRequest(row.request),
    terminal: row.terminal === 1,
    gpu_shards: shards === null ? null : (JSON.parse(shards) as GpuShards),
    gpu_indices: indices === null ? null : (JSON.parse(indices) as number[]),
  };
}

export function toStored(value: unknown): unknown {
  if (typeof value === 'boolean') return Number(value);
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
}
