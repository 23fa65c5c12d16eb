import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf } from '../../errors.js';
import type { Layout } from '../../config/layout.js';

const againMs = 200;
/** The longest time that a restart of the agent takes. */
const maxMs = 30_000;

/**
 * Reports to this worker's agent that a job begins or has ended, and waits until the agent is done.
 */
export async function tellAgent(
  layout: Layout,
  moment: string,
  jobId: string,
  slurmJobId: string,
  unixUser: string,
): Promise<void> {
  const ids = { job_id: Number(jobId), slurm_job_id: Number(slurmJobId), unix_user: unixUser };
  const line = `${JSON.stringify({ moment, ...ids })}\n`;
  for (const deadline = Date.now() + maxMs; ;) {
    try {
      const said = await ask(layout.workerSocket, line);
      if (said === 'done\n') return;
      throw Object.assign(new Error(`unexpected answer of the agent: ${said}`), {
        code: 'ECONNRESET',
      });
    } catch (error) {
      const isAway = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(
        errnoOf(error) ?? '',
      );
      if (!isAway || Date.now() > deadline) throw error;
      await delay(againMs);
    }
  }
}

async function ask(path: string, line: string): Promise<string> {
  const socket = connect({ path, allowHalfOpen: true });
  socket.end(line);
  return text(socket);
}
