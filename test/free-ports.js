// @ts-check
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

// Plain JavaScript, since the benchmarks and run_tests.sh use it without a build.
const first = 20_000;
const blockSize = 50;
const blocks = 200;

let next = 0;
let end = 0;

/**
 * Finds ports that stay free while a daemon restarts. They lie below the range of outgoing
 * connections (ip(7), ip_local_port_range). No other process that asks here gets a port of the same
 * block until this process ends.
 * @param {number} count
 * @returns {Promise<number[]>}
 */
export async function freePorts(count) {
  /** @type {number[]} */
  const ports = [];
  // From one block: a stack tries the ports after the first of its SSH hosts by itself.
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

/** Claims a block by a socket in the abstract namespace, which ends with the process (unix(7)). */
async function claimBlock() {
  const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
  const lowest = Number(range.split('\t')[0]);
  // A range that begins below `first` leaves no block beside it.
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
  throw new Error(`no block of ports is free from ${first} to ${first + last * blockSize}`);
}

/**
 * @param {import('node:net').Server} server
 * @param {{ port: number } | { path: string }} on
 * @returns {Promise<boolean>} false when another process listens there
 */
async function listens(server, on) {
  try {
    server.listen(on);
    await once(server, 'listening');
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error) || error.code !== 'EADDRINUSE') throw error;
    return false;
  }
}
