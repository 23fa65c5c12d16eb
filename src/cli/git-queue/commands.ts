import { InvalidArgumentError, Option, type Command } from 'commander';
import { json, wholeNumber } from '../common.js';
import type { WorkOptions } from './run-worker.js';
import type { AddOptions, ListOptions, ResetOptions } from './edit.js';

const statuses = ['ready', 'running', 'run', 'failed'];

const minutes = (text: string) => {
  if (!/^\d{1,5}(\.\d+)?$/.test(text) || Number(text) <= 0)
    throw new InvalidArgumentError('expected a number of minutes, such as 15.');
  return Number(text);
};

/** `jobrunner queue …`: jobs in a CSV file of a git repository. */
export function addQueueCommands(program: Command): void {
  const queue = program
    .command('queue')
    .description('jobs written down in a CSV file of a git repository, for any machine with git');
  const make = (name: string) =>
    queue
      .command(name)
      .option('--repo <url>', 'the repository, instead of the clone this folder is in')
      .option('--branch <name>', 'instead of the clone’s, or of the one a clone begins with')
      .option('--queue-file <path>', 'the queue in the repository (JOBS_QUEUE_FILE, or queue.csv)');

  make('add')
    .description('append a job and push it')
    .argument('<command>', 'a script and its arguments, in quotes, as a shell would read them')
    .action(async (command: string, options: AddOptions) => {
      const { addToQueue } = await import('./edit.js');
      await addToQueue(command, options);
    });

  make('list')
    .description('show the jobs')
    .addOption(new Option('--status <status>', 'only these').choices(statuses))
    .addOption(json())
    .action(async (options: ListOptions) => {
      const { listQueue } = await import('./edit.js');
      await listQueue(options);
    });

  make('reset')
    .description('put jobs back to ready, and end the claims of whoever has them')
    .argument('[line...]', 'their lines in the file, as `queue list` shows them')
    .addOption(new Option('--status <status>', 'all of these').choices(statuses.slice(1)))
    .action(async (lines: string[], options: ResetOptions) => {
      const { resetQueue } = await import('./edit.js');
      await resetQueue(lines, options);
    });

  make('work')
    .description('claim and run jobs, one after the other, without Slurm')
    .option('--results-dir <path>', 'the folder for results (RESULTS_DIR, or results)')
    .option(
      '--max-job-attempts <n>',
      'times a job is tried before it is failed (MAX_JOB_ATTEMPTS, or 3)',
      wholeNumber('a whole number', 1000),
    )
    .option(
      '--max-attempts <n>',
      'looks without a job before the worker ends; 0: never (MAX_ATTEMPTS, or 3)',
      wholeNumber('a whole number', 1_000_000),
    )
    .option(
      '--sleep <seconds>',
      'between two looks (SLEEP_TIME, or 2)',
      wholeNumber('a number of seconds', 86_400),
    )
    .addOption(
      new Option('--lease <minutes>', 'how long a job is ours unless renewed')
        .argParser(minutes)
        .default(15),
    )
    .option('--python <program>', 'what runs the scripts', 'python3')
    .option('--allow-outside', 'run scripts that lie outside the repository, too')
    .option(
      '--max-result-mb <n>',
      'largest result that is committed',
      wholeNumber('a number of MB', 2000),
      10,
    )
    .option('--worker <name>', 'what others see as the owner of the claims')
    .option('--log-file <path>', 'write the log there, too')
    .option('--debug', 'say more')
    .action(async (options: WorkOptions) => {
      const { runWorker } = await import('./run-worker.js');
      await runWorker(options);
    });
}
