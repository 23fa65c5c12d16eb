import type { SlurmState } from './states.js';

/** One job as Slurm tells of it. Times are milliseconds since 1970; null where Slurm has none (yet). */
export interface SlurmJob {
  slurmJobId: number;
  state: SlurmState;
  /** Slurm's own word, such as `Resources` or `BeginTime`; null for `None`. */
  reason: string | null;
  /** What the script returned, 0 to 255. */
  exitCode: number;
  /** The signal that ended it, 0 for none. */
  signal: number;
  submittedAt: number | null;
  startedAt: number | null;
  endedAt: number | null;
  nodeList: string | null;
  /** What the job was submitted with as `--comment`; ties it to a row of ours. */
  comment: string;
  /** Where it started, as far as Slurm was asked for it. */
  workDir?: string;
}

/** A job that Slurm tells of in words that cannot be read: it is there, and that is all. Null for what is not told or cannot be read. */
export interface UnreadJob {
  isUnread: true;
  slurmJobId: number | null;
  comment: string | null;
  workDir: string | null;
}

export type SlurmRecord = SlurmJob | UnreadJob;

/** Seconds since 1970, as printed under `SLURM_TIME_FORMAT=%s`, to milliseconds. */
export function parseEpoch(text: string): number | null {
  const seconds = Number(text);
  return text !== '' && Number.isInteger(seconds) && seconds > 0 ? seconds * 1000 : null;
}

export function wordOrNull(text: string): string | null {
  return text === '' || text === 'None' || text === '(null)' || text === 'None assigned'
    ? null
    : text;
}
