/** Hands jobs to Slurm. */
export interface JobSubmitter {
  /** @returns Slurm's number of the job. @throws SlurmError */
  submit(spec: SubmitSpec, script: string): Promise<number>;
}

/** More at once only wait for slurmctld's lock: 120/s one at a time, 215/s at four (2 cores, 22.05). */
export const submitsAtOnce = 4;

/** What a job asks of Slurm, beside its script. */
export interface SubmitSpec {
  /** Ours. */
  jobId: number;
  /** The Unix user that the job runs as on this machine and on workers. */
  user: string;
  /** Whether it may start on an SSH host: then Slurm runs it as `jr-remote`, which becomes that user where it starts here. */
  mayBeRemote: boolean;
  /** Features of nodes, one of which is needed, as `--constraint` takes them. */
  constraint: string | undefined;
  comment: string;
  /** Slurm's account, which has its limits; undefined for the one without any. */
  account: string | undefined;
  name: string;
  cpus: number;
  memoryMb: number;
  /** As `--gres` takes it, such as `shard:nvidia2:60`; null for none. */
  gres: string | null;
  /** Taken off the job's priority; see priority.ts. */
  nice: number;
  /** Seconds; Slurm counts whole minutes. */
  timeLimit: number | 'UNLIMITED';
  workDir: string;
  logPath: string;
  /** Where standard error, and what Slurm itself says, goes instead of the log. */
  errorPath?: string | undefined;
  partition: string | undefined;
  /** Whether Slurm queues it again when its node is gone. */
  requeue?: boolean;
}

/** Applies to all jobs on an external cluster. */
export interface SubmitDefaults {
  account: string | undefined;
  qos: string | undefined;
}
