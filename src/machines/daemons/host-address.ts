import { lookup } from 'node:dns/promises';
import { appendFileSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { errnoOf } from '../../errors.js';

const hosts = '/etc/hosts';

/**
 * Finds the loopback address that this machine's own name leads to. Under NoInAddrAny, Slurm's
 * daemons listen only on the name's address (slurm.conf(5)): Debian's 127.0.1.1, say.
 * @returns undefined when the name leads elsewhere, as in a container
 */
export async function loopbackOfName(name = hostname()): Promise<string | undefined> {
  const found = await lookup(name, { family: 4 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN') return undefined;
    throw error;
  });
  return found?.address.startsWith('127.') ? found.address : undefined;
}

/**
 * Makes the name lead to loopback in a container, whose /etc/hosts the container's engine writes
 * anew at each start. A machine's own file is left alone.
 * @returns that loopback address; undefined when the name leads elsewhere
 */
export async function makeNameLoopback(name = hostname()): Promise<string | undefined> {
  const present = await loopbackOfName(name);
  if (present !== undefined || !isMounted(hosts)) return present;
  try {
    // Of several addresses, programs get the loopback one first (RFC 6724, rule 8).
    appendFileSync(hosts, `127.0.0.1\t${name} # JobRunner: Slurm listens there alone\n`);
  } catch (error) {
    if (!['EROFS', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
  }
  return loopbackOfName(name);
}

/** Returns whether something is mounted there (proc_pid_mountinfo(5)). */
function isMounted(path: string): boolean {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.some((line) => line.split(' ')[4] === path);
}
