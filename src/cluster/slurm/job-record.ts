import type { SlurmState } from './states.js';

/** One job as Slurm reports it. Times are milliseconds since 1970; null if Slurm has none (yet). */
export interface SlurmJob {
  slurmJobId: number;
  state: SlurmState;
  /** Slurm's own word, such as `Resources` or `BeginTime`; null for `None`. */
  reason: string | null;
  /** Exit code of the script, 0 to 255. */
  exitCode: number;
  /** The signal that ended it, 0 for none. */
  signal: number;
  submittedAt: number | null;
  startedAt: number | null;
  endedAt: number | null;
  nodeList: string | null;
  /** How often Slurm has put the job back into the queue, if Slurm was asked for it. */
  restarts?: number;
  /** The Unix user who cancelled it, if Slurm was asked for that. */
  cancelledBy?: number;
  /** The job's `--comment`, which ties it to our row. */
  comment: string;
  /** Folder in which the job started, if Slurm was asked for it. */
  workDir?: string;
}

/** A job whose record cannot be read: only its existence is certain. Unknown fields are null. */
export interface UnreadJob {
  isUnread: true;
  slurmJobId: number | null;
  comment: string | null;
  workDir: string | null;
}

export type SlurmRecord = SlurmJob | UnreadJob;

/** Converts seconds since 1970, as printed under `SLURM_TIME_FORMAT=%s`, to milliseconds. */
export function parseEpoch(text: string): number | null {
  const seconds = Number(text);
  return text !== '' && Number.isInteger(seconds) && seconds > 0 ? seconds * 1000 : null;
}

export function wordOrNull(text: string): string | null {
  return text === '' || text === 'None' || text === '(null)' || text === 'None assigned'
    ? null
    : text;
}
