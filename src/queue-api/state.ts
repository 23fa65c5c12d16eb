import type { Job } from '../jobs/job.js';

export const queueStates = ['pending', 'running', 'completed', 'failed', 'cancelled'] as const;
export type QueueState = (typeof queueStates)[number];

/** States, Slurm’s and ours, of jobs that wait to start or to start again. */
const waiting = [
  'SUBMITTING',
  'PENDING',
  'CONFIGURING',
  'REQUEUED',
  'REQUEUE_FED',
  'REQUEUE_HOLD',
  'SPECIAL_EXIT',
  'RESV_DEL_HOLD',
];
const stopped = ['CANCELLED', 'PREEMPTED', 'REVOKED'];

/** Converts a job’s state to the queue server’s. */
export function queueStateOf({ state, terminal }: Pick<Job, 'state' | 'terminal'>): QueueState {
  if (!terminal) return waiting.includes(state) ? 'pending' : 'running';
  if (state === 'COMPLETED') return 'completed';
  return stopped.includes(state) ? 'cancelled' : 'failed';
}

const list = (states: string[]) => states.map((state) => `'${state}'`).join(', ');

/** The same conversion in SQL, for a row of jobs. */
export const queueStateSql = `CASE
  WHEN terminal = 0 THEN CASE WHEN state IN (${list(waiting)}) THEN 'pending' ELSE 'running' END
  WHEN state = 'COMPLETED' THEN 'completed'
  WHEN state IN (${list(stopped)}) THEN 'cancelled'
  ELSE 'failed' END`;
