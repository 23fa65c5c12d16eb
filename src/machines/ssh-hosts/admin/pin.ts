import { readFileSync } from 'node:fs';
import { execa } from 'execa';
import type { SshHost } from '../../../cluster/ssh-hosts/hosts.js';
import { sshError } from '../ssh/errors.js';
import type { Visit } from './visit.js';

/** A machine's key as the machine showed it, not yet trusted. */
export interface ShownKey {
  /** The machine's name in known_hosts: `10.0.0.1`, or `[10.0.0.1]:2222`. */
  machine: string;
  /** Lines of a known_hosts file. */
  lines: string[];
  /** As `ssh-keygen -l` prints it: `SHA256:…`. */
  fingerprints: string[];
}

/**
 * Learns the keys of all machines on the way to a host, one after the other. Contacts no later
 * machine, and tries no login, before `believe` has accepted the one in front of it.
 * @returns the lines of known_hosts of all machines
 * @throws SshError; errors of `believe`
 */
export async function pinKeys(
  host: SshHost,
  visit: Visit,
  believe: (key: ShownKey) => Promise<void>,
): Promise<string[]> {
  const chain = [...host.proxy_jump, host];
  const pinned: string[] = [];
  for (const [hop, login] of chain.entries()) {
    const here: SshHost = { ...host, ...login, proxy_jump: chain.slice(0, hop) };
    const before = new Set(linesOf(visit.knownHosts));
    // Send nothing to an unknown machine, least of all a password.
    const options = ['StrictHostKeyChecking=accept-new', 'PreferredAuthentications=none'];
    const { resolved, code, stderr } = await visit.call(
      here,
      options.flatMap((option) => ['-o', option]),
      'true',
    );
    const fresh = linesOf(visit.knownHosts).filter((line) => !before.has(line));
    const machine = login.port === 22 ? login.host : `[${login.host}]:${login.port}`;
    const error = sshError(resolved, code, stderr);
    if (code !== 0 && error.fault !== 'denied') throw error;
    if (fresh.length > 0)
      await believe({ machine, lines: fresh, fingerprints: await fingerprintsOf(fresh) });
    const known = fresh.length > 0 ? fresh : await knownLines(visit, machine);
    // The machine in front of it refused the login or the connection, so this one was not reached.
    if (known.length === 0) throw error;
    pinned.push(...known);
  }
  return [...new Set(pinned)];
}

/** Returns the lines of known_hosts about that machine. */
async function knownLines(visit: Visit, machine: string): Promise<string[]> {
  const found = await execa('ssh-keygen', ['-F', machine, '-f', visit.knownHosts], {
    reject: false,
  });
  return found.stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

async function fingerprintsOf(lines: readonly string[]): Promise<string[]> {
  const input = `${lines.join('\n')}\n`;
  const { stdout } = await execa('ssh-keygen', ['-l', '-f', '-'], { input });
  return stdout.split('\n').flatMap((line) => /SHA256:\S+/.exec(line)?.[0] ?? []);
}

function linesOf(path: string): string[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '');
}
