import { createServer } from 'node:net';
import { ConfigError } from './config-error.js';
import { holderOf } from './port-holder.js';
import { errnoOf } from '../errors.js';

/** Checks that a daemon can listen there. @param name of the setting. @throws ConfigError */
export async function refuseTakenPort(name: string, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const server = createServer();
    server.once('error', (cause) => {
      const why =
        errnoOf(cause) === 'EADDRINUSE' ? takenBy(port) : `cannot be used (${errnoOf(cause)})`;
      reject(new ConfigError(`${name}: port ${port} on ${host} ${why}; set another`, { cause }));
    });
    server.listen({ host, port }, () => server.close(() => resolve()));
  });
}

function takenBy(port: number): string {
  const holder = holderOf(port);
  return holder ? `is taken by ${holder.program} (pid ${holder.pid})` : 'is taken';
}
