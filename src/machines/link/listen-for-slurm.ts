import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

/**
 * Listens for Slurm's daemons.
 * @param take receives each connection, paused
 */
export async function listenForSlurm(
  at: { host: string; port: number },
  take: (socket: Socket) => void,
): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, take);
  server.listen(at);
  await once(server, 'listening');
  return server;
}
