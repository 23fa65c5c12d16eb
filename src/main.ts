#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { CliError } from './cli/cli-error.js';
import { addWorkerCommands } from './cli/worker-commands.js';
import { addClientCommands } from './cli/commands.js';
import { addGitLabCommands } from './cli/gitlab-commands.js';
import { addTemplateCommands } from './cli/template-commands.js';
import { addQueueCommands } from './cli/git-queue/commands.js';
import { ConfigError } from './config/config-error.js';
import { readConfig } from './config/config.js';
import { readSshProcessConfig } from './config/ssh.js';
import { readWorkerConfig } from './config/worker.js';
import { addHealthCommand } from './cli/health-command.js';
import { layoutOf } from './config/layout.js';
import { packageVersion } from './config/package-version.js';
import { note, say } from './cli/terminal.js';

const program = new Command('jobrunner')
  .description('A whole Slurm cluster and an HTTP job service on one GPU machine')
  .version(packageVersion())
  // Commander exits with 1 on a wrong command line; JobRunner exits with 2, as for a wrong setting.
  .exitOverride();

program
  .command('stack')
  .description(
    'start Slurm and the API, stay in the foreground, stop both on Ctrl-C (root); with JR_SLURM_MODE=external, the API alone',
  )
  .action(async () => {
    const run = await stackOf();
    // The reader of our lines may leave before the daemons have stopped and the jobs have ended.
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
    await run(say);
  });

program
  .command('serve')
  .description('run the API alone, over a running Slurm')
  .action(async () => {
    const { serve } = await import('./app/serve.js');
    await serve();
  });

program
  .command('last-slurm-job', { hidden: true })
  .description('print the greatest number that Slurm has given a job (started by the stack)')
  .action(async () => {
    const { lastSlurmJobIn } = await import('./jobs/last-slurm-job.js');
    process.stdout.write(`${lastSlurmJobIn(layoutOf(readConfig().root).database)}\n`);
  });

program
  .command('remote-run <job_id>', { hidden: true })
  .description('run a job on the SSH host that Slurm has chosen (started by Slurm)')
  .action(async (jobId: string) => {
    const { runSshJob } = await import('./machines/ssh-hosts/run/run-ssh-job.js');
    const { endAs } = await import('./machines/ssh-hosts/run/ending.js');
    const config = readSshProcessConfig();
    endAs(await runSshJob(jobId, config, layoutOf(config.root)));
  });

program
  .command('remote-watch', { hidden: true })
  .description('watch the SSH hosts (started by the stack)')
  .action(async () => {
    const { watchSshHosts } = await import('./machines/ssh-hosts/watch/watch.js');
    const config = readSshProcessConfig();
    await watchSshHosts(config, layoutOf(config.root));
  });

addWorkerCommands(program);
addHealthCommand(program);
addClientCommands(program);
addGitLabCommands(program);
addQueueCommands(program);
addTemplateCommands(program);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    const expected = error instanceof ConfigError || error instanceof CliError;
    note(`jobrunner: ${expected ? error.message : String((error as Error).stack)}`);
    process.exitCode = error instanceof ConfigError ? 2 : 1;
  }
}

/**
 * Chooses this machine's stack: a controller, a worker, or the API alone for an external cluster.
 */
async function stackOf(): Promise<(say: (line: string) => void) => Promise<void>> {
  if (readWorkerConfig() !== undefined)
    return (await import('./machines/worker/worker.js')).runWorker;
  if (readConfig().external !== undefined) return (await import('./app/serve.js')).serve;
  return (await import('./machines/controller/stack.js')).runStack;
}
