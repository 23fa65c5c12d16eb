import { formatTimeLimit } from '../../config/time-limit.js';

/** What a job asks of Slurm. The script itself goes in on standard input. */
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
  /** Taken off the job's priority; see {@link niceOf}. */
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

/** The range of a job's priority; lower runs first. */
export const priorityRange = { least: 0, most: 1000, usual: 100 } as const;

/**
 * `priority/basic` gives each job one less than the one before: first in, first out. Levels lie as far apart as Slurm keeps jobs
 * (`MaxJobCount`), and no further: each start of slurmctld goes on below the lowest priority that it finds, of 4,294,967,295 in all.
 * A nice value counts when a job is submitted, not when it is released; a later change of it would put the job behind all others
 * of its level.
 */
export function niceOf(priority: number): number {
  return priority * 100_000;
}

/** Every value is its own argument, `--name=value`, so that none can be taken for an option. */
export function sbatchArguments(spec: SubmitSpec): string[] {
  return [
    '--parsable',
    // Of an environment with next to nothing in it, see command.ts; what a job gets stands in its script. Not NIL or NONE: for these
    // slurmd starts a login shell before each job, see docs/decisions/submit-with-sudo.md.
    '--export=ALL',
    `--comment=${spec.comment}`,
    `--job-name=${spec.name}`,
    '--nodes=1',
    '--ntasks=1',
    `--cpus-per-task=${spec.cpus}`,
    `--mem=${spec.memoryMb}M`,
    ...(spec.gres === null ? [] : [`--gres=${spec.gres}`]),
    `--nice=${spec.nice}`,
    `--time=${spec.timeLimit === 'UNLIMITED' ? 'UNLIMITED' : formatTimeLimit(spec.timeLimit)}`,
    `--chdir=${spec.workDir}`,
    `--output=${spec.logPath}`,
    ...(spec.errorPath === undefined ? [] : [`--error=${spec.errorPath}`]),
    '--open-mode=append',
    ...(spec.account === undefined ? [] : [`--account=${spec.account}`]),
    ...(spec.constraint === undefined ? [] : [`--constraint=${spec.constraint}`]),
    ...(spec.requeue ? ['--requeue'] : []),
    ...(spec.partition === undefined ? [] : [`--partition=${spec.partition}`]),
  ];
}

/**
 * What is asked for a job that may start on an SSH host. Its folder, log and script are libexec/submit-remote.sh's affair, which lets no
 * other option pass, and `--error` only for the job's own file; where it may start on this machine, too, its script here is given on standard input.
 */
export function submitRemoteArguments(spec: SubmitSpec): string[] {
  const passed =
    /^--(comment|account|job-name|cpus-per-task|mem|gres|nice|time|error|constraint|partition)=/;
  return [
    spec.user,
    String(spec.jobId),
    ...sbatchArguments(spec).filter((option) => passed.test(option)),
  ];
}

/** `12` or `12;cluster`. @throws Error on anything else. */
export function parseSbatch(output: string): number {
  const id = /^(\d+)(?:;\S+)?\s*$/.exec(output)?.[1];
  if (id === undefined) throw new Error(`sbatch printed no job number: ${output.slice(0, 200)}`);
  return Number(id);
}
