import type { Command } from 'commander';
import { json, openApi, url, type Common } from './common.js';

const columns = `
FOUND    claimable jobs that the last scan found
CLAIMED  ours and not running: on its way to Slurm, waiting there, or to be reported
RUNNING  ours and running
DONE     ended and reported, whether the job completed or failed
FAILED   could not become a job, and reported as failed
LOST     taken over by another server, or taken away`;

/** `jobrunner ingest`: the ingest sources besides the API. */
export function addIngestCommands(program: Command): void {
  const ingest = program
    .command('ingest')
    .description('list, pause and resume the ingest sources: GitLab, git queue, jobs file');
  ingest
    .command('list')
    .description('show the jobs that each has found, claimed and done, and its problems')
    .addOption(json())
    .addOption(url())
    .addHelpText('after', columns)
    .action(async (options: Common) => {
      const { listSources } = await import('./ingest.js');
      await listSources(await openApi(options), options);
    });
  ingest
    .command('pause')
    .description('take no more jobs from it; jobs already taken continue')
    .argument('<source>', 'gitlab, git-queue or jobs-file')
    .addOption(url())
    .action(async (name: string, options: Common) => {
      const { pauseSource } = await import('./ingest.js');
      await pauseSource(await openApi(options), name);
    });
  ingest
    .command('resume')
    .description('take jobs from it again')
    .argument('<source>', 'gitlab, git-queue or jobs-file')
    .addOption(url())
    .action(async (name: string, options: Common) => {
      const { resumeSource } = await import('./ingest.js');
      await resumeSource(await openApi(options), name);
    });
}
