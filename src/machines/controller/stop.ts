import { setTimeout as delay } from 'node:timers/promises';
import { NODE_NAME, type Layout } from '../../config/layout.js';
import { jobProcesses, killAll } from '../daemons/job-processes.js';
import { closePartitions } from '../daemons/partitions.js';
import { slurmdProgram } from '../daemons/ssh-nodes.js';
import type { Supervisor } from '../daemons/supervisor.js';
import { setNodesDown } from './set-nodes-down.js';

/**
 * Time after SIGTERM; Slurm itself would wait for KillWait, but `docker stop` grants 10 s in all.
 */
const jobsGraceMs = 4000;
/** The process of an SSH host's job must end the job there first. */
const sshJobsGraceMs = 7000;
/** The longest wait for the jobs' own processes. */
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
  // Stop it before slurmctld: a slurmd that cannot report a job's end tries for ten seconds more.
  await supervisor.shutdown(['slurmd', ...sshNodes.map(slurmdProgram)]);
}

/**
 * Ends running jobs, which outlive slurmd by design. A node that is down ends them as NODE_FAIL,
 * the true reason.
 */
async function endRunningJobs(layout: Layout, sshNodes: readonly string[]): Promise<void> {
  await closePartitions(layout);
  const nodes = [NODE_NAME, ...sshNodes];
  await setNodesDown(layout, nodes, 'JobRunner stopped');
  // squeue forgets a job with its node; wait for its processes instead.
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
