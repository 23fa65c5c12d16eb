import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/**
 * Stands between the client and the real server, to see the requests and to cut connections at a
 * chosen moment.
 */
export interface Relay {
  endpoint: string;
  /** The first byte each GET with a range asked for, in order. */
  rangeStarts: number[];
  /** Connections of clients that are open now. */
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
    // A broken connection is what these tests are about; its other half is broken with it.
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
