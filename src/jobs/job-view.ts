import type { Job } from './job.js';
import { explainReason, waitsForRoom } from './pending-reason.js';

const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

/**
 * A job as the API shows it. Exactly one key is named "status": scripts look for it with grep.
 * @param heldBack why the GPUs it waits for are kept from it, if they are
 */
export function viewJob(job: Job, heldBack: string | null) {
  const { request } = job;
  return {
    job_id: job.job_id,
    slurm_job_id: job.slurm_job_id,
    user: job.user,
    status: job.state,
    experiment_id: job.experiment_id,
    command_key: request.command_key,
    name: request.name,
    dataset_sha: request.dataset_sha ?? null,
    gpus: request.gpus,
    gpu_mem_gb: request.gpu_mem_gb ?? null,
    allowed_gpus: request.allowed_gpus ?? null,
    llm: request.llm ?? null,
    priority: job.priority,
    gres: job.gres,
    gpu_indices: job.gpu_indices,
    cpus: request.cpus,
    mem_gb: request.mem_gb,
    time_limit: request.time_limit,
    timeout: request.timeout ?? null,
    params: request.params,
    args: request.args,
    reason: job.reason,
    reason_text: reasonText(job, heldBack),
    exit_code: job.exit_code,
    signal: job.signal,
    failure: job.failure,
    message: job.message,
    warning: job.warning,
    node: job.node_list,
    submitted_at: iso(job.submitted_at),
    started_at: iso(job.started_at),
    ended_at: iso(job.ended_at),
  };
}

function reasonText(job: Job, heldBack: string | null): string | null {
  if (job.state === 'SUBMITTING' && job.attempts > 0)
    return `Slurm cannot take it now (${job.message ?? ''}); it is handed over again in a while`;
  if (job.state === 'SUBMITTING')
    return 'is written down and goes to Slurm as soon as its controller answers';
  if (job.reason === null || job.state !== 'PENDING') return null;
  return waitsForRoom(job.reason) && heldBack !== null ? heldBack : explainReason(job.reason);
}
