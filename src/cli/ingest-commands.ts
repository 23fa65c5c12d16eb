import type { Command } from 'commander';
import { json, openApi, url, type Common } from './common.js';

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
    .action(async (options: Common) => {
      const { listRoutes } = await import('./ingest.js');
      await listRoutes(await openApi(options), options);
    });
  ingest
    .command('pause')
    .description('take nothing more from it; what was taken goes on')
    .argument('<route>', 'its name, such as gitlab')
    .addOption(url())
    .action(async (name: string, options: Common) => {
      const { pauseRoute } = await import('./ingest.js');
      await pauseRoute(await openApi(options), name);
    });
  ingest
    .command('resume')
    .description('take jobs from it again')
    .argument('<route>', 'its name, such as gitlab')
    .addOption(url())
    .action(async (name: string, options: Common) => {
      const { resumeRoute } = await import('./ingest.js');
      await resumeRoute(await openApi(options), name);
    });
}
