import { formatTimeLimit } from '../../../config/time-limit.js';
import type { SubmitSpec } from './job-submitter.js';

/** Writes each value as one argument, `--name=value`, so that none can be taken for an option. */
export function sbatchArguments(spec: SubmitSpec): string[] {
  return [
    '--parsable',
    // The environment is almost empty, see command.ts; the script sets what a job gets. With NIL or
    // NONE slurmd starts a login shell before each job, see docs/decisions/submit-with-sudo.md.
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
 * Selects the options that submit-remote.sh accepts for a job that may start on an SSH host. That
 * script itself sets the job's folder, log and script.
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

/** Reads `12` or `12;cluster`. @throws Error on anything else. */
export function parseSbatch(output: string): number {
  const id = /^(\d+)(?:;\S+)?\s*$/.exec(output)?.[1];
  if (id === undefined) throw new Error(`sbatch printed no job number: ${output.slice(0, 200)}`);
  return Number(id);
}
