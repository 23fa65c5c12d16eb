import type { Job } from '../jobs/job.js';
import { isoTime } from '../iso-time.js';
import type { QueueJobView } from './replies.js';
import { queueStateOf } from './state.js';
import type { QueueRow } from './store.js';

/**
 * Converts a job to the queue server’s form.
 * @param position number of jobs that start before it; null once it has ended, and while it is
 *   unknown
 * @param nodeId null while it is unknown
 */
export function viewQueueJob(
  row: QueueRow,
  job: Job,
  position: number | null,
  nodeId: number | null,
): QueueJobView {
  return {
    job_id: row.uuid,
    node_id: nodeId,
    status: queueStateOf(job),
    queue_position: position,
    user_id: job.user,
    competition_id: row.competition_id,
    project_id: row.project_id,
    expected_time: row.expected_time,
    timeout: job.request.timeout ?? null,
    created_at: isoTime(job.submitted_at),
    started_at: isoTime(job.started_at),
    completed_at: isoTime(job.ended_at),
    exit_code: exitCodeOf(job),
    failure: job.failure,
    message: job.message,
    jobrunner_job_id: job.job_id,
  };
}

/**
 * Computes the exit code as a shell does: 128 plus the signal if one ended the job. Null until the
 * job ends, and for a job that never ran.
 */
function exitCodeOf({ exit_code: code, signal, started_at: startedAt, terminal }: Job) {
  if (!terminal || startedAt === null) return null;
  return code ?? (signal !== null && signal > 0 ? 128 + signal : null);
}
