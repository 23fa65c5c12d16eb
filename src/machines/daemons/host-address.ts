import { lookup } from 'node:dns/promises';
import { hostname } from 'node:os';

/**
 * Returns whether this machine's own name leads to loopback. Under NoInAddrAny, Slurm's daemons
 * listen only on the name's address (slurm.conf(5)). In a container, that address is on the
 * container network, and their clients use loopback.
 */
export async function nameIsLoopback(name = hostname()): Promise<boolean> {
  const address = await lookup(name, { family: 4 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN') return undefined;
    throw error;
  });
  return address?.address.startsWith('127.') ?? false;
}
