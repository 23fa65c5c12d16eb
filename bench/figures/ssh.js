import { SshHosts } from '../ssh-hosts.js';
import { freePorts } from '../../test/free-ports.js';
import { Stack } from '../stack.js';
import { balance, howBalance } from './ssh-balance.js';
import { dataset, howDataset } from './ssh-dataset.js';
import { howJob, trivialJob } from './ssh-job.js';
import { howLog, logLines } from './ssh-log.js';

const hosts = 8;

/** @type {import('../main.js').Figure} */
export const ssh = {
  name: 'ssh',
  how:
    `**ssh**: a separate stack with ${hosts} SSH hosts of one GPU. Each is an sshd on ` +
    'loopback with its own key and working folder. ' +
    [howJob, howDataset, howLog, howBalance].join(' '),
  async measure(workspace) {
    const servers = await SshHosts.start(workspace, hosts, { cpus: 4, gpus: 1 });
    const [slurmdPort = 0] = await freePorts(1);
    const stack = await Stack.start(workspace, 'ssh-stack', {
      JR_SSH_NODES: servers.nodesFile,
      // The first port that is tried.
      JR_SSH_SLURMD_PORT: String(slurmdPort),
    });
    try {
      return [
        ...(await trivialJob(workspace, stack, servers)),
        ...(await dataset(workspace, stack, servers)),
        ...(await logLines(workspace, stack)),
        ...(await balance(workspace, stack)),
      ];
    } finally {
      await stack.down();
    }
  },
};
