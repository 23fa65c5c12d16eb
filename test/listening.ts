import { readFileSync } from 'node:fs';

export interface Listener {
  /** As the kernel's tables have it: in hexadecimal, the bytes of each word in reverse. */
  address: string;
  port: number;
}

/** The state LISTEN in /proc/net/tcp. */
const listenState = '0A';

/** Who listens on the network, by tables such as /proc/net/tcp. */
export function listeners(tables: string): Listener[] {
  return tables
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === listenState)
    .map(([, local = '']) => local.split(':'))
    .map(([address = '', port = '']) => ({ address, port: Number.parseInt(port, 16) }));
}

/** Who listens on this machine's network. */
export function listenersHere(): Listener[] {
  return listeners(
    ['tcp', 'tcp6'].map((name) => readFileSync(`/proc/net/${name}`, 'utf8')).join(''),
  );
}

/** 127.0.0.0/8. */
export const isLoopback = ({ address }: Listener) => /^[0-9A-F]{6}7F$/.test(address);
