import { expect, test } from '@jest/globals';
import { parseHosts } from '../../src/cluster/ssh-hosts/hosts.js';

const fileWith = (name: string) => `hosts: [{ name: ${name}, host: 10.0.0.2, user: gpu }]`;

test.each(['box0', 'worker1', 'worker64', 'workers', 'all', 'default', 'localhost'])(
  'an SSH host cannot be called %s, which has another meaning in slurm.conf',
  (name) => {
    expect(() => parseHosts(fileWith(name))).toThrow(/^hosts\.0\.name: expected another name/);
  },
);

test.each(['worker', 'worker-1', 'gpu-worker1', 'worker1a', 'workers-1', 'all-1', 'default0'])(
  'an SSH host can be called %s',
  (name) => {
    expect(parseHosts(fileWith(name)).map((host) => host.name)).toEqual([name]);
  },
);
