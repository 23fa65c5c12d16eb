import { afterAll, afterEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isLoopback, listenersHere } from '../listening.js';
import { LiveStack } from './live-stack.js';

const folder = mkdtempSync(join(tmpdir(), 'jr-hosts-'));
let stack: LiveStack | undefined;
afterEach(() => stack?.remove());
afterAll(() => rmSync(folder, { recursive: true }));

/** A machine of another name, and with an /etc/hosts of its own, as a container has it. */
function namedElsewhere(): string[] {
  const file = join(folder, 'hosts');
  writeFileSync(file, '127.0.0.1\tlocalhost\n198.18.255.1\telsewhere\n');
  const script = 'hostname elsewhere && mount --bind "$0" /etc/hosts && exec "$@"';
  return ['unshare', '--uts', '--mount', 'sh', '-c', script, file];
}

/** A machine whose name has the address that Debian's installer gives it. */
function namedByDebian(): string[] {
  const hosts = '127.0.0.1\\tlocalhost\\n127.0.1.1\\telsewhere\\n';
  const overEtc = 'mount -t overlay -o "lowerdir=/etc,upperdir=$0/etc,workdir=$0/work" etc /etc';
  const script = `hostname elsewhere && mount -t tmpfs tmpfs "$0" && mkdir "$0/etc" "$0/work" && ${overEtc} && printf '${hosts}' >/etc/hosts && exec "$@"`;
  return ['unshare', '--uts', '--mount', 'sh', '-c', script, folder];
}

test.each([
  ['that leads to the container’s own network', namedElsewhere],
  ['with an address of its own on loopback', namedByDebian],
])('on a machine with a name %s, Slurm listens on loopback alone', async (_, through) => {
  stack = await LiveStack.start({}, through());
  const ports = ['SLURMCTLD', 'SLURMD', 'SLURMDBD'].map((name) =>
    Number(stack?.env[`JR_${name}_PORT`]),
  );
  const own = listenersHere().filter(({ port }) => ports.includes(port));
  expect(own.map(({ port }) => port).sort()).toEqual(ports.sort());
  expect(own.filter((one) => !isLoopback(one))).toEqual([]);
  expect((await stack.shell('true')).status).toBe('COMPLETED');
});
