import type { Command } from 'commander';
import { ConfigError } from '../config/config-error.js';
import { rootOf } from '../config/client.js';
import { readConfig } from '../config/config.js';
import { readAgentConfig } from '../config/worker.js';
import { layoutOf } from '../config/layout.js';

/** What is run on a worker by its stack and its slurmd, and the one command for root on the controller. */
export function addWorkerCommands(program: Command): void {
  program
    .command('worker-agent', { hidden: true })
    .description('send what this worker’s jobs leave to the controller (started by the stack)')
    .action(async () => {
      const { runAgent } = await import('../machines/worker/agent.js');
      const { root, ...settings } = readAgentConfig();
      await runAgent(layoutOf(root), settings);
    });

  program
    .command('worker-job <moment> <job_id> <slurm_job_id> <unix_user>', { hidden: true })
    .description('tell this worker’s agent that a job begins or has ended (started by Slurm)')
    .action(async (moment: string, jobId: string, slurmJobId: string, unixUser: string) => {
      const { tellAgent } = await import('../machines/worker/agent-client.js');
      await tellAgent(layoutOf(rootOf()), moment, jobId, slurmJobId, unixUser);
    });

  program
    .command('worker')
    .description('workers')
    .command('token')
    .description('print what a worker joins with (root, on the controller)')
    .option('--renew', 'make a new one first: no worker can join with the old one any more')
    .action(async ({ renew }: { renew?: true }) => {
      const { openJoinFiles, joinTokenOf, renewSecret, writeJoinToken } =
        await import('../machines/controller/join-files.js');
      if (process.getuid?.() !== 0) throw new ConfigError('the join token is root’s: use sudo');
      const layout = layoutOf(rootOf());
      const files = await openJoinFiles(layout);
      if (renew) {
        renewSecret(layout);
        // Set where the stack's own environment is ours, as in its container; else its next start writes it.
        const { join } = readConfig();
        if (join?.tokenFile !== undefined) writeJoinToken(join.tokenFile, files);
      }
      process.stdout.write(`${joinTokenOf(files)}\n`);
    });
}
