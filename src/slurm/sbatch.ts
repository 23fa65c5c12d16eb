import { formatTimeLimit } from './time-limit.js';

/** What a job asks of Slurm. The script itself goes in on standard input. */
export interface SubmitSpec {
  comment: string;
  name: string;
  cpus: number;
  memoryMb: number;
  gpus: number;
  /** Seconds; Slurm counts whole minutes. */
  timeLimit: number | 'UNLIMITED';
  workDir: string;
  logPath: string;
  partition: string | undefined;
}

/** Every value is its own argument, `--name=value`, so that none can be taken for an option. */
export function sbatchArguments(spec: SubmitSpec): string[] {
  return [
    '--parsable',
    // Nothing of the caller's environment; what a job gets stands in its script.
    '--export=NIL',
    `--comment=${spec.comment}`,
    `--job-name=${spec.name}`,
    '--nodes=1',
    '--ntasks=1',
    `--cpus-per-task=${spec.cpus}`,
    `--mem=${spec.memoryMb}M`,
    ...(spec.gpus > 0 ? [`--gres=gpu:${spec.gpus}`] : []),
    `--time=${spec.timeLimit === 'UNLIMITED' ? 'UNLIMITED' : formatTimeLimit(spec.timeLimit)}`,
    `--chdir=${spec.workDir}`,
    `--output=${spec.logPath}`,
    '--open-mode=append',
    ...(spec.partition === undefined ? [] : [`--partition=${spec.partition}`]),
  ];
}

/** `12` or `12;cluster`. @throws Error on anything else. */
export function parseSbatch(output: string): number {
  const id = /^(\d+)(?:;\S+)?\s*$/.exec(output)?.[1];
  if (id === undefined) throw new Error(`sbatch printed no job number: ${output.slice(0, 200)}`);
  return Number(id);
}
