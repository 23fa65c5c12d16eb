import type { Command } from 'commander';
import { json, openApi, url, type Common } from './common.js';

const columns = `
FOUND    what the last scan found that may be claimed
CLAIMED  ours and not running: on its way to Slurm, waiting there, or to be reported
RUNNING  ours and running
DONE     ended and reported, whether the job completed or failed
FAILED   could not become a job, and was reported so
LOST     taken over by another server, or taken away`;

/** `jobrunner ingest`: the ways in besides the API. */
export function addIngestCommands(program: Command): void {
  const ingest = program
    .command('ingest')
    .description('list, pause and resume the ways in: GitLab, git queue, jobs file');
  ingest
    .command('list')
    .description('show what each has found, claimed and done, and what is wrong')
    .addOption(json())
    .addOption(url())
    .addHelpText('after', columns)
    .action(async (options: Common) => {
      const { listRoutes } = await import('./ingest.js');
      await listRoutes(await openApi(options), options);
    });
  ingest
    .command('pause')
    .description('take nothing more from it; what was taken goes on')
    .argument('<route>', 'gitlab, git-queue or jobs-file')
    .addOption(url())
    .action(async (name: string, options: Common) => {
      const { pauseRoute } = await import('./ingest.js');
      await pauseRoute(await openApi(options), name);
    });
  ingest
    .command('resume')
    .description('take jobs from it again')
    .argument('<route>', 'gitlab, git-queue or jobs-file')
    .addOption(url())
    .action(async (name: string, options: Common) => {
      const { resumeRoute } = await import('./ingest.js');
      await resumeRoute(await openApi(options), name);
    });
}
