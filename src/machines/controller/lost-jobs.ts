import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Layout } from '../../config/layout.js';
import { squeueOn } from '../daemons/job-processes.js';
import { setNodesDown } from './set-nodes-down.js';

/**
 * Ends the jobs that slurmctld believes running on these nodes, while nothing of them runs here:
 * its state was restored from a copy, or everything was killed. Otherwise slurmd would report them
 * missing only at its next registration, which may be half an hour away. Call this before slurmd
 * starts; its registration brings the nodes back (slurm.conf(5), ReturnToService).
 */
export async function endLostJobs(layout: Layout, nodes: readonly string[]): Promise<void> {
  const sockets = await readFile('/proc/net/unix', 'utf8');
  for (const node of nodes) {
    // Each slurmstepd listens there while its job lives.
    if (sockets.includes(` ${join(layout.slurmSpool, node)}/`)) continue;
    const jobs = await squeueOn(layout, node);
    if (jobs === undefined || jobs.length === 0) continue;
    await setNodesDown(layout, [node], 'JobRunner started');
  }
}
