import type { Command } from 'commander';
import { readClientConfig } from '../config/client.js';
import type { AddOptions } from './add.js';
import { json, openApi, url, wholeNumber, type Common } from './common.js';
import { addIngestCommands } from './ingest-commands.js';
import type { ListOptions } from './jobs.js';
import { addNodeCommands } from './node-commands.js';
import { addUserCommands } from './user-commands.js';

const gpuIndex = wholeNumber('the index of a GPU, such as 0', 1023);
const jobId = wholeNumber('the number of a job', Number.MAX_SAFE_INTEGER);

/** Adds the commands that call a running service, and `add`, which writes to its jobs file. */
export function addClientCommands(program: Command): void {
  program
    .command('status')
    .description('show the GPUs of all machines, the queue, and problems')
    .addOption(json())
    .addOption(url())
    .action(async (options: Common) => {
      const { showStatus } = await import('./status.js');
      await showStatus(await openApi(options), options);
    });

  const gpu = program.command('gpu').description('list, pause and resume GPUs');
  gpu
    .command('list')
    .description('show the GPUs')
    .addOption(json())
    .addOption(url())
    .action(async (options: Common) => {
      const { listGpus } = await import('./gpus.js');
      await listGpus(await openApi(options), options);
    });
  // Offer both `gpu pause 0` and the shorter `pause 0`.
  for (const parent of [gpu, program]) {
    parent
      .command('pause')
      .description('start no more jobs on a GPU; running jobs continue')
      .argument('<gpu>', 'its index, from 0', gpuIndex)
      .option('--reason <text>', 'reason, shown to other users')
      .option('--node <name>', 'worker that has the GPU, such as worker1')
      .addOption(url())
      .action(async (index: number, options: Common & { reason?: string; node?: string }) => {
        const { pauseGpu } = await import('./gpus.js');
        await pauseGpu(await openApi(options), index, options);
      });
    parent
      .command('resume')
      .description('let jobs start on a paused GPU again')
      .argument('<gpu>', 'its index, from 0', gpuIndex)
      .option('--node <name>', 'worker that has the GPU, such as worker1')
      .addOption(url())
      .action(async (index: number, options: Common & { node?: string }) => {
        const { resumeGpu } = await import('./gpus.js');
        await resumeGpu(await openApi(options), index, options.node);
      });
  }

  program
    .command('add')
    .description('append a job to the jobs file, from which the service takes it')
    .argument('<script>', 'a Python script on this machine')
    .option('--conda <environment>', 'name or absolute path of a conda environment')
    .option('--args <text>', 'its arguments, split as in a shell; --cuda is added')
    .option('--priority <number>', 'lower runs first')
    .option('--gpus <list>', 'GPUs that it may use, such as 0,2-3')
    .option('--output-file <path>', 'the jobs file, instead of JR_JOBS_FILE')
    .action(async (script: string, options: AddOptions) => {
      const { addJob } = await import('./add.js');
      await addJob(script, options, readClientConfig().jobsFile);
    });

  program
    .command('screens')
    .description('list the GNU screen sessions of jobs')
    .addOption(json())
    .addOption(url())
    .action(async (options: Common) => {
      const { listScreens } = await import('./screens.js');
      await listScreens(await openApi(options), options);
    });
  program
    .command('attach')
    .description('connect this terminal to a job’s screen session; Ctrl-A d leaves it')
    .argument('<job>', 'its number', jobId)
    .action(async (id: number) => {
      const { attach } = await import('./screens.js');
      process.exitCode = await attach(await openApi({}), readClientConfig(), id);
    });

  program
    .command('jobs')
    .description('list jobs, newest first')
    .option('--state <state>', 'only jobs in this state, such as RUNNING')
    .option('--user <user>', 'only that user’s jobs')
    .option('--before <job>', 'only jobs with a smaller number, for the next page', jobId)
    .option(
      '--limit <number>',
      'most entries to show',
      wholeNumber('a number up to 1000', 1000),
      20,
    )
    .addOption(json())
    .addOption(url())
    .action(async (options: Common & ListOptions) => {
      const { listJobs } = await import('./jobs.js');
      await listJobs(await openApi(options), options);
    });
  program
    .command('logs')
    .description('print a job’s log')
    .argument('<job>', 'its number', jobId)
    .option('-f, --follow', 'until the job ends')
    .option('--tail <lines>', 'only the last lines', wholeNumber('a number of lines', 1_000_000))
    .option('--stderr', 'standard error, of a job with split_log')
    .addOption(url())
    .action(
      async (
        id: number,
        options: Common & { follow?: boolean; tail?: number; stderr?: boolean },
      ) => {
        const { showLog } = await import('./jobs.js');
        if (!(await showLog(await openApi(options), id, options))) process.exitCode = 1;
      },
    );
  program
    .command('cancel')
    .description('end a job')
    .argument('<job>', 'its number', jobId)
    .addOption(url())
    .action(async (id: number, options: Common) => {
      const { cancelJob } = await import('./jobs.js');
      await cancelJob(await openApi(options), id);
    });

  addIngestCommands(program);
  addNodeCommands(program);
  addUserCommands(program);
}
