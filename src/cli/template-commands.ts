import type { Command } from 'commander';

/** `jobrunner template`: templates of one's own, without a running service. */
export function addTemplateCommands(program: Command): void {
  program
    .command('template')
    .description('check templates of your own')
    .command('check')
    .description('find the mistakes in a template, or in each one of a folder such as JR_TEMPLATES')
    .argument('<folder>', 'the folder of one template, or of several')
    .action(async (folder: string) => {
      const { checkTemplates } = await import('./templates.js');
      process.exitCode = (await checkTemplates(folder)) ? 0 : 1;
    });
}
