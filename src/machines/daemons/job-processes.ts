import { execa } from 'execa';
import { errnoOf } from '../../errors.js';
import {
  PLACEHOLDER_PARTITION,
  PLACEHOLDER_WORKERS_PARTITION,
} from '../../cluster/slurm/placeholder-jobs.js';
import type { Layout } from '../../config/layout.js';

const placeholderPartitions = [PLACEHOLDER_PARTITION, PLACEHOLDER_WORKERS_PARTITION];

/**
 * Returns the processes of the jobs on that node, by Slurm's job number; empty while slurmd does
 * not answer.
 */
export async function jobProcesses(layout: Layout, node: string): Promise<Map<number, number[]>> {
  return parsePids((await scontrol(layout, 'listpids', '*', node)) ?? '');
}

/**
 * Parses processes by job. @param listed the output of `scontrol listpids`: `PID JOBID STEPID
 * LOCALID GLOBALID` lines below a header
 */
export function parsePids(listed: string): Map<number, number[]> {
  const jobs = new Map<number, number[]>();
  for (const [, pid, jobId] of listed.matchAll(/^(\d+)\s+(\d+)\s/gm))
    jobs.set(Number(jobId), [...(jobs.get(Number(jobId)) ?? []), Number(pid)]);
  return jobs;
}

/** Kills the processes; one that has already ended is no error. */
export function killAll(pids: readonly number[]): void {
  signalAll(pids, 'SIGKILL');
}

/** Sends each process the signal; one that has already ended is no error. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (errnoOf(error) !== 'ESRCH') throw error;
    }
  }
}

/**
 * Returns the jobs that Slurm has on that node, completing ones included; undefined when Slurm does
 * not answer.
 */
export async function squeueOn(layout: Layout, node: string): Promise<string[] | undefined> {
  const { failed, stdout } = await execa(
    'squeue',
    ['--noheader', '--all', `--nodelist=${node}`, '--Format=JobID:20'],
    { reject: false, timeout: 5000, env: environment(layout), extendEnv: false },
  );
  return failed ? undefined : stdout.split('\n').filter((line) => line.trim() !== '');
}

/**
 * Counts the running jobs on these nodes, without placeholders; undefined when Slurm does not
 * answer.
 */
export async function runningJobsOn(
  layout: Layout,
  nodes: readonly string[],
): Promise<number | undefined> {
  const args = ['--noheader', '--all', '--states=RUNNING,SUSPENDED', '--Format=Partition:40'];
  const { failed, stdout } = await execa('squeue', [...args, `--nodelist=${nodes.join(',')}`], {
    reject: false,
    // A container has ten seconds in all to end.
    timeout: 2000,
    env: environment(layout),
    extendEnv: false,
  });
  if (failed) return undefined;
  const partitions = stdout.split('\n').map((line) => line.trim());
  return partitions.filter((name) => name !== '' && !placeholderPartitions.includes(name)).length;
}

/**
 * Returns the output of scontrol, or undefined on failure; scontrol also fails when there is
 * nothing to list.
 */
export async function scontrol(layout: Layout, ...args: string[]): Promise<string | undefined> {
  const { failed, stdout } = await execa('scontrol', args, {
    reject: false,
    timeout: 5000,
    env: environment(layout),
    extendEnv: false,
  });
  return failed ? undefined : stdout.trim();
}

function environment(layout: Layout): Record<string, string> {
  return { PATH: '/usr/bin:/bin', SLURM_CONF: layout.slurmConf, TZ: 'UTC' };
}
