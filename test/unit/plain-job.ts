import type { Job, JobId } from '../../src/jobs/job.js';
import type { JobRequest } from '../../src/jobs/request.js';

/** Makes a job of that request that Slurm does not have yet. */
export const jobOf = (request: JobRequest): Job => ({
  job_id: 7 as JobId,
  user: 'alice',
  unix_user: 'jr-job1',
  slurm_job_id: null,
  comment: 'jobrunner:1',
  experiment_id: 'job-7',
  request,
  state: 'SUBMITTING',
  terminal: false,
  reason: null,
  exit_code: null,
  signal: null,
  failure: null,
  message: null,
  node_list: null,
  submitted_at: 0,
  started_at: null,
  ended_at: null,
  priority: 3,
  gres: null,
  gpu_shards: null,
  gpu_indices: null,
  warning: null,
  moved_from: null,
  slurm_priority: null,
  attempts: 0,
  next_attempt_at: null,
});
