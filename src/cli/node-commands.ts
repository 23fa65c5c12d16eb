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

/** `jobrunner node`: where jobs run. `add`, `remove` and `test` are for root on the box, the others talk to the API. */
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
    .description('start nothing more on a node; what runs there goes on')
    .argument('<name>')
    .addOption(url())
    .action(async (name: string, options: Common) => {
      const { drainNode } = await import('./nodes.js');
      await drainNode(await openApi(options), name);
    });
  node
    .command('resume')
    .description('let jobs start on a drained node again')
    .argument('<name>')
    .addOption(url())
    .action(async (name: string, options: Common) => {
      const { resumeNode } = await import('./nodes.js');
      await resumeNode(await openApi(options), name);
    });

  node
    .command('add')
    .description('pin the key of an SSH host, look what it has, and write it into JR_SSH_NODES')
    .argument('<name>', 'what it is to be called, such as gpu-0')
    .argument('<where>', 'user@host or user@host:port')
    .option('--identity <file>', 'private key without a passphrase, on this machine')
    .option('--password-variable <name>', 'JR_SSH_PASSWORD or JR_SSH_PASSWORD_…')
    .option('--jump <where>', 'a host on the way, user@host:port; in order if several', several)
    .option('--gpus <number>', 'GPUs, instead of those that are found', wholeNumber('GPUs', 64))
    .option('--gpu-memory <GiB>', 'of each', gibibytes)
    .option('--gpu-type <name>', 'such as H100')
    .option('--cpus <number>', 'instead of those that are found', wholeNumber('CPUs', 4096))
    .option('--memory <GiB>', 'instead of what is found', gibibytes)
    .option('--workdir <path>', 'folder there for datasets and jobs (jobrunner)')
    .option('--label <name=value>', 'shown in the list; may be given several times', several)
    .option('--fingerprint <SHA256:…>', 'of its key, and of those on the way', several)
    .option('--yes', 'believe whatever keys they show')
    .action(async (name: string, where: string, options: AddOptions) => {
      const { addNode } = await import('./nodes-file.js');
      await addNode(name, where, options, readSshConfig());
    });
  node
    .command('remove')
    .description('take an SSH host out of JR_SSH_NODES; what runs there ends first')
    .argument('<name>')
    .action(async (name: string) => {
      const { removeNode } = await import('./nodes-file.js');
      removeNode(name, readSshConfig());
    });
  node
    .command('test')
    .description('check reachability, key, login, tools, disk, clock and GPUs of SSH hosts')
    .argument('[name...]', 'all of them, if none is named')
    .action(async (names: string[]) => {
      const { testNodes } = await import('./nodes-file.js');
      if (!(await testNodes(names, readSshConfig()))) process.exitCode = 1;
    });
}
