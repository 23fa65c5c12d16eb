import type { Command } from 'commander';
import { wholeNumber } from './common.js';
import type { CreateFileOptions, GitLabCommandOptions } from './gitlab.js';

/** Adds `jobrunner gitlab …`: jobs in the manifests of GitLab projects. */
export function addGitLabCommands(program: Command): void {
  const gitlab = program
    .command('gitlab')
    .description('find GPU jobs in the manifests of GitLab projects');
  command(gitlab, 'list_available_jobs')
    .description('print the jobs that are neither claimed nor canceled, as JSON')
    .action(async (options: GitLabCommandOptions) => {
      hideArguments(options);
      const { listAvailableJobs } = await import('./gitlab.js');
      await listAvailableJobs(options);
    });
  command(gitlab, 'scan_all_projects')
    .description('print every project with its manifest, jobs and errors, as JSON')
    .action(async (options: GitLabCommandOptions) => {
      hideArguments(options);
      const { scanAllProjects } = await import('./gitlab.js');
      await scanAllProjects(options);
    });
  command(gitlab, 'create_file')
    .description('commit a new file to a project’s default branch')
    .requiredOption(
      '--project-id <number>',
      'the project',
      wholeNumber('the number of a project', Number.MAX_SAFE_INTEGER),
    )
    .requiredOption('--file-path <path>', 'the file in the repository')
    .option('--content <text>', 'its content')
    .option('--file-source <path>', 'a local file with its content')
    .option('--commit-message <text>', 'instead of “Create <path>”')
    .action(async (options: CreateFileOptions) => {
      hideArguments(options);
      const { createFile } = await import('./gitlab.js');
      await createFile(options);
    });
}

function command(gitlab: Command, name: string): Command {
  return gitlab
    .command(name)
    .alias(name.replaceAll('_', '-'))
    .option('--token <token>', 'instead of GITLAB_TOKEN, which is safer')
    .option('--gitlab-url <url>', 'instead of JR_GITLAB_URL or https://gitlab.com')
    .option('--verbose', 'print on stderr what each project holds')
    .option('--quiet', 'print errors only')
    .option(
      '--max-retries <number>',
      'retries of a request (10)',
      wholeNumber('a number up to 100', 100),
    );
}

/** Hides the token from `ps`, which shows command lines to every user of this machine. */
function hideArguments({ token }: GitLabCommandOptions): void {
  if (token !== undefined) process.title = 'jobrunner gitlab';
}
