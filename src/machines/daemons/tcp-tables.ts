import { createReadStream } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { errnoOf } from '../../errors.js';

/** A TCP socket whose other end is a port of this machine. */
export interface LocalConnection {
  /** Number of the socket's inode, by which /proc/PID/fd names it. */
  inode: string;
  /** The user who made the socket. */
  uid: number;
  /** The port to which it leads. */
  port: number;
}

const tables = ['/proc/net/tcp', '/proc/net/tcp6'];

/** Reads the connections to these ports of this machine, as the kernel lists them now. */
export async function connectionsTo(ports: ReadonlySet<number>): Promise<LocalConnection[]> {
  const own = ownAddresses();
  const found: LocalConnection[] = [];
  for (const table of tables)
    for await (const lines of linesOf(table)) found.push(...parseConnections(lines, ports, own));
  return found;
}

/**
 * Finds the connections to these ports in lines of /proc/net/tcp or tcp6 (proc_pid_net(5)).
 * @param own the addresses of this machine besides 127.0.0.0/8, as those tables write them
 */
export function parseConnections(
  lines: string,
  ports: ReadonlySet<number>,
  own: ReadonlySet<string> = new Set(),
): LocalConnection[] {
  // Local address, remote address and port, state, queues, timer, retransmits; user, timeout,
  // inode. Slurm's daemons listen at IPv4 alone, which an IPv6 socket reaches as ::ffff:127.0.0.1.
  const line =
    /^ *\d+: [\dA-F:]+ (?:0{16}FFFF0000)?([\dA-F]{8}):([\dA-F]{4}) [\dA-F]{2} \S+ \S+ \S+ +(\d+) +\d+ (\d+) /gm;
  return [...lines.matchAll(line)]
    .filter(([, address = '']) => address.endsWith('7F') || own.has(address))
    .map(([, , port = '', uid, inode = '']) => ({
      inode,
      uid: Number(uid),
      port: Number.parseInt(port, 16),
    }))
    .filter(({ port, inode }) => ports.has(port) && inode !== '0');
}

/** Returns this machine's IPv4 addresses as the kernel's tables write them, last byte first. */
function ownAddresses(): Set<string> {
  return new Set(
    Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ family }) => family === 'IPv4')
      .map(({ address }) =>
        address
          .split('.')
          .reverse()
          .map((byte) => Number(byte).toString(16).toUpperCase().padStart(2, '0'))
          .join(''),
      ),
  );
}

/**
 * Reads whole lines in parts, so that a long table does not hold up the rest of the process; none
 * where the kernel has no IPv6.
 */
async function* linesOf(table: string): AsyncGenerator<string> {
  let rest = '';
  try {
    for await (const part of createReadStream(table, 'latin1') as AsyncIterable<string>) {
      const end = part.lastIndexOf('\n') + 1;
      yield rest + part.slice(0, end);
      rest = end === 0 ? rest + part : part.slice(end);
    }
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
