import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';

const first = 20_000;
const blockSize = 50;
const blocks = 200;

let next = 0;
let end = 0;

/**
 * Returns ports that stay free until they are used, also while a stack restarts. They lie below the
 * range of outgoing connections (ip(7), ip_local_port_range), and no other test gets them.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  // All are from one block: a stack itself tries the ports after the first one of its SSH hosts.
  if (next + count > end) await claimBlock();
  while (ports.length < count) {
    if (next === end) await claimBlock();
    const port = next++;
    const server = createServer();
    if (!(await listens(server, { port }))) continue;
    server.close();
    await once(server, 'close');
    ports.push(port);
  }
  return ports;
}

/**
 * A block belongs to this process while it lives and holds the abstract socket of that name, which
 * leaves no file (unix(7)).
 */
async function claimBlock(): Promise<void> {
  const [lowest = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    .split('\t')
    .map(Number);
  // If the kernel's range covers nearly all ports, no block fits beside it.
  const below = Math.floor((lowest - first) / blockSize);
  const last = below > 0 ? Math.min(blocks, below) : blocks;
  for (let block = 0; block < last; block++) {
    const holder = createServer();
    if (!(await listens(holder, { path: `\0jr-test-ports-${block}` }))) continue;
    holder.unref();
    next = first + block * blockSize;
    end = next + blockSize;
    return;
  }
  throw new Error(`no ports are left from ${first} to ${first + last * blockSize}`);
}

/** @returns false when another process listens there. */
async function listens(server: Server, on: { port: number } | { path: string }): Promise<boolean> {
  try {
    server.listen(on);
    await once(server, 'listening');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    return false;
  }
}
