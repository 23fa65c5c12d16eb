import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/**
 * Relays between the client and the real server, to record requests and to cut connections at a
 * chosen moment.
 */
export interface Relay {
  endpoint: string;
  /** The first byte of each ranged GET, in order. */
  rangeStarts: number[];
  /** Open connections of clients. */
  open: Set<Socket>;
  /** Resolves when a client next closes a connection. */
  clientCloses: () => Promise<void>;
  cut: () => void;
  close: () => Promise<void>;
}

export async function startRelay(target: number): Promise<Relay> {
  const open = new Set<Socket>();
  const rangeStarts: number[] = [];
  const waiting: (() => void)[] = [];
  const server = createServer((client) => {
    open.add(client);
    const upstream = connect(target, '127.0.0.1');
    client.on('data', (data) => {
      for (const [, start] of data.toString('latin1').matchAll(/^range: bytes=(\d+)-/gim))
        rangeStarts.push(Number(start));
    });
    client.pipe(upstream).pipe(client);
    // These tests break connections; the other half breaks with each.
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    upstream.on('close', () => client.destroy());
    client.on('close', () => {
      upstream.destroy();
      open.delete(client);
      waiting.splice(0).forEach((resolve) => resolve());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => open.forEach((client) => client.resetAndDestroy());
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    rangeStarts,
    open,
    clientCloses: () => new Promise((resolve) => waiting.push(resolve)),
    cut,
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
