/** Hands jobs to Slurm. */
export interface JobSubmitter {
  /** Submits a job. @returns Slurm's number of the job. @throws SlurmError */
  submit(spec: SubmitSpec, script: string): Promise<number>;
}

/**
 * More at once would only wait for slurmctld's lock: 120/s one at a time, 215/s at four (2 cores,
 * 22.05).
 */
export const maxConcurrentSubmits = 4;

/** The request that a job makes to Slurm, beside its script. */
export interface SubmitSpec {
  /** Our number of the job. */
  jobId: number;
  /** Unix user of the job on this machine and on workers. */
  user: string;
  /**
   * Whether the job may start on an SSH host. Slurm then runs it as `jr-remote`, which becomes
   * `user` if the job starts here.
   */
  mayBeRemote: boolean;
  /** Node features of which one is required, as `--constraint` takes them. */
  constraint: string | undefined;
  comment: string;
  /** Slurm's account, which sets limits; undefined for the unlimited account. */
  account: string | undefined;
  name: string;
  cpus: number;
  memoryMb: number;
  /** GPUs as `--gres` takes them, such as `shard:nvidia2:60`; null for none. */
  gres: string | null;
  /** Lowers the job's priority; see priority.ts. */
  nice: number;
  /** Seconds; Slurm counts whole minutes. */
  timeLimit: number | 'UNLIMITED';
  workDir: string;
  logPath: string;
  /** File for standard error and Slurm's own messages, instead of the log. */
  errorPath?: string | undefined;
  partition: string | undefined;
  /** Whether Slurm requeues the job if its node fails. */
  requeue?: boolean;
}

/** Values that apply to all jobs on an external cluster. */
export interface SubmitDefaults {
  account: string | undefined;
  qos: string | undefined;
}
