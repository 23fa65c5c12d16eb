import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { errnoOf } from '../errors.js';
import { kernelForms } from './addresses.js';

/**
 * Finds the Unix users of connections within this machine, in the kernel's tables of TCP
 * connections (proc(5)). A read takes the kernel some milliseconds, since it walks through all
 * buckets of its hash table; simultaneous searches share one.
 */
export class LocalConnections {
  readonly #tcp = new SharedRead('/proc/net/tcp');
  readonly #tcp6 = new SharedRead('/proc/net/tcp6');
  readonly #found = new WeakMap<Socket, Promise<number | undefined>>();

  /**
   * Finds the user at the other end of a connection, and remembers it with the connection.
   * @returns undefined when the sender has closed its end; the kernel then names no user
   */
  userOf(socket: Socket): Promise<number | undefined> {
    const known = this.#found.get(socket);
    if (known !== undefined) return known;
    const found = this.#search(socket);
    this.#found.set(socket, found);
    return found;
  }

  async #search(socket: Socket): Promise<number | undefined> {
    const { remoteAddress, remotePort, localAddress, localPort } = socket;
    if (remoteAddress === undefined || localAddress === undefined) return undefined;
    const [theirs, ours] = [kernelForms(remoteAddress), kernelForms(localAddress)];
    const ends = (from: string, to: string) =>
      `${from}:${hex(remotePort)} ${to}:${hex(localPort)} `;
    const line =
      (theirs.v4 !== undefined && ours.v4 !== undefined
        ? lineIn(await this.#tcp.begin(), ends(theirs.v4, ours.v4))
        : undefined) ?? lineIn(await this.#tcp6.begin(), ends(theirs.v6, ours.v6));
    // From the sender's address on: receiver, state, queues, timer, retransmits, uid, timeout,
    // inode.
    const [, , , , , , uid, , inode] = line?.split(/ +/) ?? [];
    // A connection that no process holds has no inode, and its uid says 0.
    return inode === undefined || inode === '0' ? undefined : Number(uid);
  }
}

/** Reads a file for several callers at once. */
class SharedRead {
  readonly #path: string;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<string> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Returns the content of a read that begins after this call. */
  begin(): Promise<string> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      const reading = readFile(this.#path, 'latin1').catch(emptyIfAbsent);
      // The callers get the error; the next read only waits for this one's end.
      this.#running = reading.catch(() => undefined);
      return reading;
    });
    return this.#next;
  }
}

/** Without IPv6, the kernel has no table for it. */
function emptyIfAbsent(error: unknown): string {
  if (errnoOf(error) !== 'ENOENT') throw error;
  return '';
}

/** Finds the rest of a table's line from a text on. */
function lineIn(table: string, start: string): string | undefined {
  const at = table.indexOf(start);
  return at === -1 ? undefined : table.slice(at, table.indexOf('\n', at));
}

function hex(port = 0): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}
