import { execa } from 'execa';
import { errnoOf } from '../../errors.js';
import { NODE_NAME, type Layout } from '../../config/layout.js';

/** The processes of the jobs on that node, by Slurm's job number; empty while slurmd does not answer. */
export async function jobProcesses(
  layout: Layout,
  node = NODE_NAME,
): Promise<Map<number, number[]>> {
  return parsePids((await scontrol(layout, 'listpids', '*', node)) ?? '');
}

/** @param listed what `scontrol listpids` prints: `PID JOBID STEPID LOCALID GLOBALID` lines below a header. */
export function parsePids(listed: string): Map<number, number[]> {
  const jobs = new Map<number, number[]>();
  for (const [, pid, jobId] of listed.matchAll(/^(\d+)\s+(\d+)\s/gm))
    jobs.set(Number(jobId), [...(jobs.get(Number(jobId)) ?? []), Number(pid)]);
  return jobs;
}

/** Ends them at once; one that has ended meanwhile is no error. */
export function killAll(pids: readonly number[]): void {
  signalAll(pids, 'SIGKILL');
}

/** Sends each of them the signal; one that has ended meanwhile is no error. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (errnoOf(error) !== 'ESRCH') throw error;
    }
  }
}

/** The jobs that Slurm has on that node, those on their way out too; undefined when it does not say. */
export async function squeueOn(layout: Layout, node: string): Promise<string[] | undefined> {
  const { failed, stdout } = await execa(
    'squeue',
    ['--noheader', '--all', `--nodelist=${node}`, '--Format=JobID:20'],
    { reject: false, timeout: 5000, env: environment(layout), extendEnv: false },
  );
  return failed ? undefined : stdout.split('\n').filter((line) => line.trim() !== '');
}

/** What scontrol printed, or undefined when it failed: it does when there is nothing to tell of. */
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
