import { InvalidArgumentError, Option, type Command } from 'commander';
import { json, openApi, url, wholeNumber, type Common } from './common.js';
import type { LimitOptions } from './users.js';

const count = (what: string) => wholeNumber(`${what}; 0 means no limit`, 1_000_000);
const amount = (text: string) => {
  if (!/^\d{1,9}(\.\d+)?$/.test(text)) throw new InvalidArgumentError('expected a number.');
  return Number(text);
};

/** Adds `jobrunner token, user, audit`: who may use the service, and who did what. */
export function addUserCommands(program: Command): void {
  const token = program.command('token').description('create, list and revoke users’ tokens');
  token
    .command('create')
    .description('create a token for a user; it is shown only once')
    .argument('<user>', 'their name')
    .argument('[token]', 'a token of your choice instead of a random one; - reads it from stdin')
    .option('--days <number>', 'days until it expires; 0 = never', wholeNumber('days', 36_500), 30)
    .addOption(
      new Option('--role <role>', 'a reader changes nothing, an admin may do everything')
        .choices(['admin', 'user', 'reader'])
        .default('user'),
    )
    .addOption(json())
    .addOption(url())
    .action(
      async (
        user: string,
        given: string | undefined,
        options: Common & { days: number; role: string },
      ) => {
        const { createToken } = await import('./users.js');
        await createToken(await openApi(options), user, given, options);
      },
    );
  token
    .command('list')
    .description('list tokens by number, without their text')
    .addOption(json())
    .addOption(url())
    .action(async (options: Common) => {
      const { listTokens } = await import('./users.js');
      await listTokens(await openApi(options), options);
    });
  token
    .command('revoke')
    .description('revoke a token at once')
    .argument('<token>', 'its number, or the token itself; - reads it from stdin')
    .addOption(url())
    .action(async (which: string, options: Common) => {
      const { revokeToken } = await import('./users.js');
      await revokeToken(await openApi(options), which);
    });

  const user = program.command('user').description('users: their limits and usage');
  user
    .command('list')
    .description('show all users')
    .addOption(json())
    .addOption(url())
    .action(async (options: Common) => {
      const { listUsers } = await import('./users.js');
      await listUsers(await openApi(options), options);
    });
  user
    .command('limit')
    .description('set users’ own limits, instead of JR_USER_MAX_…')
    .argument('<user...>', 'their names')
    .option('--jobs <number>', 'queued and running jobs', count('a number of jobs'))
    .option('--running <number>', 'running jobs', count('a number of jobs'))
    .option('--gpus <number>', 'GPUs at once, such as 2 or 0.5', amount)
    .option('--stored-gb <number>', 'datasets and outputs, in GiB', amount)
    .option('--yes', 'also for unknown users, without a question')
    .addOption(url())
    .action(async (names: string[], options: Common & LimitOptions) => {
      const { limitUsers } = await import('./users.js');
      await limitUsers(await openApi(options), names, options);
    });
  user
    .command('delete')
    .description('delete users’ tokens and limits; their ended jobs and outputs stay')
    .argument('<user...>', 'their names')
    .option('--yes', 'without a question')
    .addOption(url())
    .action(async (names: string[], options: Common & { yes?: boolean }) => {
      const { deleteUsers } = await import('./users.js');
      await deleteUsers(await openApi(options), names, options);
    });

  program
    .command('audit')
    .description('show who changed what, newest first')
    .option('--user <user>', 'only that user')
    .option(
      '--limit <number>',
      'most entries to show',
      wholeNumber('a number up to 1000', 1000),
      50,
    )
    .addOption(json())
    .addOption(url())
    .action(async (options: Common & { user?: string; limit: number }) => {
      const { showAudit } = await import('./users.js');
      await showAudit(await openApi(options), options);
    });
}
