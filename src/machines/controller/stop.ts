import { setTimeout as delay } from 'node:timers/promises';
import { NODE_NAME, type Layout } from '../../config/layout.js';
import { jobProcesses, killAll, scontrol } from '../daemons/job-processes.js';
import { closePartitions } from '../daemons/partitions.js';
import { slurmdProgram } from '../daemons/ssh-nodes.js';
import type { Supervisor } from '../daemons/supervisor.js';

/** From their SIGTERM on; Slurm itself would wait for KillWait, but `docker stop` grants 10 s for everything. */
const jobsGraceMs = 4000;
/** What runs a job on an SSH host has to end it there first. */
const sshJobsGraceMs = 7000;
/** How long the jobs' own processes are waited for. */
const jobsEndMs = 15_000;

/** Stops the API, ends the jobs, then stops the daemons, the last started first. */
export async function stopInOrder(
  supervisor: Supervisor,
  layout: Layout,
  sshNodes: readonly string[],
): Promise<void> {
  await supervisor.stopProgram('api').catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
  });
  await endRunningJobs(layout, sshNodes);
  // Not beside slurmctld: one that cannot tell it of a job's end tries for ten seconds more.
  await supervisor.shutdown(['slurmd', ...sshNodes.map(slurmdProgram)]);
}

/** A job outlives slurmd by design. Taking the node down ends them as NODE_FAIL, which says what happened. */
async function endRunningJobs(layout: Layout, sshNodes: readonly string[]): Promise<void> {
  await closePartitions(layout);
  const nodes = [NODE_NAME, ...sshNodes];
  const reason = 'Reason=JobRunner stopped';
  await scontrol(layout, 'update', `NodeName=${nodes.join(',')}`, 'State=DOWN', reason);
  // squeue forgets a job with its node; its processes are what must end.
  const started = Date.now();
  const left = new Set(nodes);
  while (left.size > 0 && Date.now() - started < jobsEndMs) {
    for (const node of left) {
      const pids = [...(await jobProcesses(layout, node)).values()].flat();
      if (pids.length === 0) left.delete(node);
      const graceMs = node === NODE_NAME ? jobsGraceMs : sshJobsGraceMs;
      if (Date.now() - started > graceMs) killAll(pids);
    }
    if (left.size > 0) await delay(100);
  }
}
