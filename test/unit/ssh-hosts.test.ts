import { expect, test } from '@jest/globals';
import { isEmptyHostsFile, parseHosts } from '../../src/cluster/ssh-hosts/hosts.js';

const fileWith = (name: string) => `hosts: [{ name: ${name}, host: 10.0.0.2, user: gpu }]`;

test.each(['box0', 'worker1', 'worker64', 'workers', 'all', 'default', 'localhost'])(
  'an SSH host cannot be called %s, which has another meaning in slurm.conf',
  (name) => {
    expect(() => parseHosts(fileWith(name))).toThrow(`hosts.${name}.name: expected another name`);
  },
);

test.each(['worker', 'worker-1', 'gpu-worker1', 'worker1a', 'workers-1', 'all-1', 'default0'])(
  'an SSH host can be called %s',
  (name) => {
    expect(parseHosts(fileWith(name)).map((host) => host.name)).toEqual([name]);
  },
);

test('a problem names its host, not its position in the list', () => {
  const two = (second: string) => () =>
    parseHosts(`hosts: [{ name: gpu-0, host: 10.0.0.2, user: gpu }, ${second}]`);
  const with0Cpus = two('{ name: gpu-1, host: 10.0.0.3, user: gpu, cpus: 0 }');
  expect(with0Cpus).toThrow(/^hosts\.gpu-1\.cpus: /);
  expect(two('{ name: Gpu, host: 10.0.0.3, user: gpu }')).toThrow(/^hosts\.Gpu\.name: /);
  expect(two('{ host: 10.0.0.3, user: gpu }')).toThrow(/^host 2 of the list\.name: /);
  expect(two('nonsense')).toThrow(/^host 2 of the list: /);
});

test.each([
  ['', true],
  ['# ours\n', true],
  ['hosts: []\n', false],
  ['defaults: {}\nhosts: []\n', false],
])('of %j, it is known whether it holds nothing', (text, isEmpty) => {
  expect(isEmptyHostsFile(text)).toBe(isEmpty);
});
