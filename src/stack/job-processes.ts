import { execa } from 'execa';
import { errnoOf } from '../errors.js';
import { NODE_NAME, type Layout } from '../layout.js';

/** The processes of the jobs on this node, by Slurm's job number; empty while slurmd does not answer. */
export async function jobProcesses(layout: Layout): Promise<Map<number, number[]>> {
  return parsePids((await scontrol(layout, 'listpids', '*', NODE_NAME)) ?? '');
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
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (errnoOf(error) !== 'ESRCH') throw error;
    }
  }
}

/** What scontrol printed, or undefined when it failed: it does when there is nothing to tell of. */
export async function scontrol(layout: Layout, ...args: string[]): Promise<string | undefined> {
  const { failed, stdout } = await execa('scontrol', args, {
    reject: false,
    timeout: 5000,
    env: { PATH: '/usr/bin:/bin', SLURM_CONF: layout.slurmConf, TZ: 'UTC' },
    extendEnv: false,
  });
  return failed ? undefined : stdout.trim();
}
