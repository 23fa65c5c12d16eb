import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { errnoOf } from '../errors.js';
import { kernelForms } from './addresses.js';

/**
 * Finds the Unix user at the other end of a connection within this machine, in the kernel's tables
 * of TCP connections (proc(5)).
 * @returns undefined when the sender has closed its end; the kernel then names no user
 */
export async function unixUserOf(socket: Socket): Promise<number | undefined> {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (remoteAddress === undefined || localAddress === undefined) return undefined;
  const [theirs, ours] = [kernelForms(remoteAddress), kernelForms(localAddress)];
  const line =
    (await lineOf('/proc/net/tcp', theirs.v4, remotePort, ours.v4, localPort)) ??
    (await lineOf('/proc/net/tcp6', theirs.v6, remotePort, ours.v6, localPort));
  // From the sender's address on: receiver, state, queues, timer, retransmits, uid, timeout, inode.
  const [, , , , , , uid, , inode] = line?.split(/ +/) ?? [];
  // A connection that no process holds has no inode, and its uid says 0.
  return inode === undefined || inode === '0' ? undefined : Number(uid);
}

/** Finds the sender's end of a connection in a table. */
async function lineOf(
  table: string,
  from: string | undefined,
  fromPort = 0,
  to: string | undefined,
  toPort = 0,
): Promise<string | undefined> {
  if (from === undefined || to === undefined) return undefined;
  const text = await readFile(table, 'latin1').catch(emptyIfAbsent);
  const at = text.indexOf(`${from}:${hex(fromPort)} ${to}:${hex(toPort)} `);
  return at === -1 ? undefined : text.slice(at, text.indexOf('\n', at));
}

/** Without IPv6, the kernel has no table for it. */
function emptyIfAbsent(error: unknown): string {
  if (errnoOf(error) !== 'ENOENT') throw error;
  return '';
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}
