import type { Command } from 'commander';
import { ConfigError } from '../config/config-error.js';
import { rootOf } from '../config/client.js';
import { readConfig } from '../config/config.js';
import { readAgentConfig, readJoinPortConfig, readLinkConfig } from '../config/worker.js';
import { layoutOf } from '../config/layout.js';
import { say } from './terminal.js';

/** Adds the commands that a worker's stack and slurmd run, and one for root on the controller. */
export function addWorkerCommands(program: Command): void {
  program
    .command('worker-agent', { hidden: true })
    .description(
      'send the logs and outputs of this worker’s jobs to the controller (started by the stack)',
    )
    .action(async () => {
      const { runAgent } = await import('../machines/worker/agent.js');
      const { root, ...settings } = readAgentConfig();
      await runAgent(layoutOf(root), settings);
    });

  program
    .command('worker-link', { hidden: true })
    .description('carry the connections of this worker’s Slurm (started by the stack)')
    .action(async () => {
      const { runLink } = await import('../machines/worker/run-link.js');
      const { root, ...settings } = readLinkConfig();
      await runLink(layoutOf(root), settings);
    });

  program
    .command('join-port', { hidden: true })
    .description('let workers join, and carry their connections (started by the stack)')
    .action(async () => {
      const { runJoinPort } = await import('../machines/controller/join-port/run-join-port.js');
      const { root, ...settings } = readJoinPortConfig();
      await runJoinPort(layoutOf(root), settings);
    });

  program
    .command('worker-job <moment> <job_id> <slurm_job_id> <unix_user>', { hidden: true })
    .description('tell this worker’s agent that a job starts or has ended (started by Slurm)')
    .action(async (moment: string, jobId: string, slurmJobId: string, unixUser: string) => {
      const { tellAgent } = await import('../machines/worker/agent-client.js');
      await tellAgent(layoutOf(rootOf()), moment, jobId, slurmJobId, unixUser);
    });

  program
    .command('worker')
    .description('workers')
    .command('token')
    .description('print the token with which workers join (root, on the controller)')
    .option('--renew', 'make a new one first; workers can no longer join with the old one')
    .action(async ({ renew }: { renew?: true }) => {
      const { openJoinFiles, joinTokenOf, renewSecret, writeJoinToken } =
        await import('../machines/controller/join-files.js');
      if (process.getuid?.() !== 0)
        throw new ConfigError('only root may read the join token: use sudo');
      const layout = layoutOf(rootOf());
      const { findUnixUsers } = await import('../machines/daemons/unix-users.js');
      const files = await openJoinFiles(layout, findUnixUsers()['jr-join']);
      if (renew) {
        renewSecret(layout);
        // In a container, this environment is the stack's own. Elsewhere the stack writes the token
        // at its next start.
        const { join } = readConfig();
        if (join?.tokenFile !== undefined) writeJoinToken(join.tokenFile, files);
      }
      say(joinTokenOf(files));
    });
}
