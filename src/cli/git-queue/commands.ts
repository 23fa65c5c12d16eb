import { InvalidArgumentError, Option, type Command } from 'commander';
import { json, wholeNumber } from '../common.js';
import type { WorkOptions } from './work-command.js';
import type { AddOptions, ListOptions, ResetOptions } from './edit.js';

const statuses = ['ready', 'running', 'run', 'failed'];

const minutes = (text: string) => {
  if (!/^\d{1,5}(\.\d+)?$/.test(text) || Number(text) <= 0)
    throw new InvalidArgumentError('expected a number of minutes, such as 15.');
  return Number(text);
};

/** Adds `jobrunner queue …`: jobs in a CSV file of a git repository. */
export function addQueueCommands(program: Command): void {
  const queue = program
    .command('queue')
    .description(
      'list jobs in a CSV file of a git repository and run them, on any machine with git',
    );
  const make = (name: string) =>
    queue
      .command(name)
      .option('--repo <url>', 'the repository, instead of the clone this folder is in')
      .option('--branch <name>', 'instead of the clone’s or the default branch')
      .option('--queue-file <path>', 'the queue in the repository (JOBS_QUEUE_FILE, or queue.csv)');

  make('add')
    .description('append a job and push it')
    .argument('<command>', 'a script and its arguments, quoted as for a shell')
    .action(async (command: string, options: AddOptions) => {
      const { addToQueue } = await import('./edit.js');
      await addToQueue(command, options);
    });

  make('list')
    .description('show the jobs')
    .addOption(new Option('--status <status>', 'only jobs with this status').choices(statuses))
    .addOption(json())
    .action(async (options: ListOptions) => {
      const { listQueue } = await import('./edit.js');
      await listQueue(options);
    });

  make('reset')
    .description('make jobs ready again, and end their claims')
    .argument('[line...]', 'their lines in the file, as `queue list` shows them')
    .addOption(
      new Option('--status <status>', 'all jobs with this status').choices(statuses.slice(1)),
    )
    .action(async (lines: string[], options: ResetOptions) => {
      const { resetQueue } = await import('./edit.js');
      await resetQueue(lines, options);
    });

  make('work')
    .description('claim and run jobs, one after the other, without Slurm')
    .option('--results-dir <path>', 'the folder for results (RESULTS_DIR, or results)')
    .option(
      '--max-job-attempts <n>',
      'attempts before a job counts as failed (MAX_JOB_ATTEMPTS, or 3)',
      wholeNumber('a whole number', 1000),
    )
    .option(
      '--max-attempts <n>',
      'checks without a job before the runner ends; 0 = never (MAX_ATTEMPTS, or 3)',
      wholeNumber('a whole number', 1_000_000),
    )
    .option(
      '--sleep <seconds>',
      'between two checks (SLEEP_TIME, or 2)',
      wholeNumber('a number of seconds', 86_400),
    )
    .addOption(
      new Option('--lease <minutes>', 'time until a claim expires, unless it is renewed')
        .argParser(minutes)
        .default(15),
    )
    .option('--python <program>', 'interpreter of the scripts', 'python3')
    .option('--allow-outside', 'also run scripts outside the repository')
    .option(
      '--max-result-mb <n>',
      'largest result file that is committed',
      wholeNumber('a number of MB', 2000),
      10,
    )
    .option('--worker <name>', 'name in the claims, as others see it')
    .option('--log-file <path>', 'also write the log to this file')
    .option('--debug', 'log more')
    .action(async (options: WorkOptions) => {
      const { workOnQueue } = await import('./work-command.js');
      if ((await workOnQueue(options)) > 0) process.exitCode = 1;
    });
}
