import { InvalidArgumentError, type Command } from 'commander';
import { readSshConfig } from '../config/ssh.js';
import { json, openApi, url, wholeNumber, type Common } from './common.js';
import type { AddOptions } from './nodes-file.js';

const gibibytes = (text: string) => {
  if (!/^\d{1,7}(\.\d+)?$/.test(text) || Number(text) === 0)
    throw new InvalidArgumentError('expected a number of GiB.');
  return Number(text);
};
const several = (text: string, before: string[] | undefined) => [...(before ?? []), text];

/**
 * Adds `jobrunner node` and `maintenance`. `add`, `remove` and `test` are for root on the
 * controller; the others call the API.
 */
export function addNodeCommands(program: Command): void {
  const node = program.command('node').description('list, drain and resume nodes; SSH hosts');
  node
    .command('list')
    .description('show the nodes')
    .addOption(json())
    .addOption(url())
    .action(async (options: Common) => {
      const { listNodes } = await import('./nodes.js');
      await listNodes(await openApi(options), options);
    });
  node
    .command('drain')
    .description('start no more jobs on nodes; running jobs continue')
    .argument('[name...]', 'their names')
    .option('--all', 'every node that takes jobs now')
    .option('--reason <text>', 'reason, shown to other users')
    .addOption(url())
    .action(async (names: string[], options: Common & { all?: boolean; reason?: string }) => {
      const { drainNodes } = await import('./nodes.js');
      await drainNodes(await openApi(options), { names, all: options.all }, options.reason);
    });
  node
    .command('resume')
    .description('let jobs start on drained nodes again')
    .argument('[name...]', 'their names')
    .option('--all', 'every drained node')
    .addOption(url())
    .action(async (names: string[], options: Common & { all?: boolean }) => {
      const { resumeNodes } = await import('./nodes.js');
      await resumeNodes(await openApi(options), { names, all: options.all });
    });

  node
    .command('add')
    .description('pin an SSH host’s key, detect its resources, and add it to JR_SSH_NODES')
    .argument('<name>', 'its name, such as gpu-0')
    .argument('<where>', 'user@host or user@host:port')
    .option('--identity <file>', 'private key without a passphrase, on this machine')
    .option('--password-variable <name>', 'JR_SSH_PASSWORD or JR_SSH_PASSWORD_…')
    .option('--jump <where>', 'a jump host, user@host:port; several in order', several)
    .option('--gpus <number>', 'GPUs, instead of the detected number', wholeNumber('GPUs', 64))
    .option('--gpu-memory <GiB>', 'memory of each GPU', gibibytes)
    .option('--gpu-type <name>', 'model, such as H100')
    .option('--cpus <number>', 'instead of the detected number', wholeNumber('CPUs', 4096))
    .option('--memory <GiB>', 'instead of the detected size', gibibytes)
    .option('--workdir <path>', 'folder there for datasets and jobs (jobrunner)')
    .option('--label <name=value>', 'shown in the list; may be repeated', several)
    .option(
      '--fingerprint <SHA256:…>',
      'fingerprint of its key; may be repeated for jump hosts',
      several,
    )
    .option('--yes', 'trust the keys that the hosts show')
    .action(async (name: string, where: string, options: AddOptions) => {
      const { addNode } = await import('./nodes-file.js');
      if (!(await addNode(name, where, options, readSshConfig()))) process.exitCode = 1;
    });
  node
    .command('remove')
    .description('remove an SSH host from JR_SSH_NODES; its jobs end first')
    .argument('<name>')
    .action(async (name: string) => {
      const { removeNode } = await import('./nodes-file.js');
      removeNode(name, readSshConfig());
    });
  node
    .command('test')
    .description('check reachability, key, login, tools, disk, clock and GPUs of SSH hosts')
    .argument('[name...]', 'their names; all hosts if none is given')
    .action(async (names: string[]) => {
      const { testNodes } = await import('./nodes-file.js');
      if (!(await testNodes(names, readSshConfig()))) process.exitCode = 1;
    });

  const maintenance = program
    .command('maintenance')
    .description('keep jobs off all nodes for a while');
  maintenance
    .command('start')
    .description('drain all nodes; running jobs continue')
    .option('--reason <text>', 'reason, shown to other users')
    .addOption(url())
    .action(async (options: Common & { reason?: string }) => {
      const { startMaintenance } = await import('./nodes.js');
      await startMaintenance(await openApi(options), options.reason);
    });
  maintenance
    .command('end')
    .description('resume the nodes that maintenance has drained, and no others')
    .addOption(url())
    .action(async (options: Common) => {
      const { endMaintenance } = await import('./nodes.js');
      await endMaintenance(await openApi(options));
    });
}
