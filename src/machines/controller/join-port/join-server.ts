import { once } from 'node:events';
import { request, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { networkOf } from '../../../auth/addresses.js';
import type { WorkerList } from '../../../cluster/workers/worker-list.js';
import { localUrl, type Config } from '../../../config/config.js';
import { errnoOf } from '../../../errors.js';
import { linkPath, linkProtocol } from '../../link/link.js';
import { readBody } from '../read-body.js';
import type { RegisterClient } from './register-client.js';
import { Strangers } from './strangers.js';
import type { WorkerLinks } from './worker-links.js';

const wrongSecrets = { points: 10, duration: 60 };
/** Delays the reply to each wrong secret, whoever sent it. */
const wrongSecretMs = 1000;
const handshakeMs = 10_000;
/**
 * Workers' requests to the API. A dot, a `%` or a second slash could make the path lead elsewhere
 * (url.spec.whatwg.org).
 */
const workersTarget = /^\/workers(\/\w+)+(\?\w+=\w+)?$/;

export interface JoinServerParts {
  certificate: string;
  key: string;
  api: Pick<Config, 'host' | 'port'>;
  register: RegisterClient;
  workers: Pick<WorkerList, 'holderOf'>;
  links: WorkerLinks;
  say: (line: string) => void;
}

/**
 * The TLS server where workers join, and through which they reach slurmctld and the API. It hands
 * requests to join or leave to root's process, and only requests below `/workers/` to the API,
 * after it has checked the worker's own token.
 */
export class JoinServer {
  readonly #parts: JoinServerParts;

  readonly #strangers = new Strangers();
  readonly #wrong = new RateLimiterMemory(wrongSecrets);
  readonly #server: Server;

  private constructor(parts: JoinServerParts) {
    this.#parts = parts;

    this.#server = createServer(
      {
        cert: parts.certificate,
        key: parts.key,
        minVersion: 'TLSv1.3',
        handshakeTimeout: handshakeMs,
        // A body has Node's 300 s; a reply has no limit.
        headersTimeout: 20_000,
      },
      (req, res) => {
        this.#answer(req, res).catch((error: unknown) => {
          parts.say(`the join port: ${String(error)}`);
          if (res.headersSent) res.destroy();
          else reply(res, 500, { message: 'the controller failed; see its join-port.log' });
        });
      },
    );
    this.#server.on('connection', (socket: Socket) => this.#strangers.take(socket));
    this.#server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#upgrade(req, socket as TLSSocket, head).catch((error: unknown) => {
        parts.say(`the join port: ${String(error)}`);
        socket.destroy();
      });
    });
  }

  static async open(port: number, parts: JoinServerParts): Promise<JoinServer> {
    const server = new JoinServer(parts);
    // Listens at every address; those of IPv6 only where the machine has it.
    server.#server.listen({ port });
    await once(server.#server, 'listening');
    return server;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (req.url === '/join' && req.method === 'POST') return this.#join(req, res);
    if (req.url === '/leave' && req.method === 'POST') return this.#leave(req, res);
    if (workersTarget.test(req.url ?? '')) return this.#passOn(req, res);
    reply(res, 404, { message: 'no such endpoint' });
  }

  async #join(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const address = req.socket.remoteAddress ?? '';
    const network = networkOf(address);
    const asked = await readBody(req);
    if (asked === undefined) return reply(res, 400, { message: 'the request is too large' });
    const { status, body } = await this.#parts.register.join(asked, address);
    // Nobody can guess the secret, so wrong ones block no worker with the right one.
    if (status === 403) {
      const before = await this.#wrong.get(network);
      if (before !== null && before.consumedPoints >= wrongSecrets.points)
        return reply(res, 429, {
          message: 'too many wrong join tokens from this address; try again in a minute',
        });
      await this.#wrong.penalty(network);
      await delay(wrongSecretMs);
    }
    if (status === 200) {
      this.#strangers.trust(req.socket);
      // It has a new token; whoever has the old one is no longer this worker.
      this.#parts.links.end(body['name']);
    }
    reply(res, status, body);
  }

  async #leave(req: IncomingMessage, res: ServerResponse): Promise<void> {
    req.resume();
    const { status, body } = await this.#parts.register.leave(tokenOf(req));
    reply(res, status, body);
  }

  /** Makes the connection a worker's link. */
  async #upgrade(req: IncomingMessage, socket: TLSSocket, head: Buffer): Promise<void> {
    // Its `close` follows.
    socket.on('error', () => undefined);
    const worker = this.#parts.workers.holderOf(tokenOf(req));
    if (req.url !== linkPath || req.headers.upgrade !== linkProtocol)
      return refuse(socket, '404 Not Found', 'no such endpoint');
    if (worker === undefined || worker.left)
      return refuse(socket, '401 Unauthorized', 'no worker has this token');
    this.#strangers.trust(socket);
    // The worker starts with HTTP/2 only after our answer.
    if (head.length > 0) return refuse(socket, '400 Bad Request', 'wait for the answer');
    const take = await this.#parts.links.prepare(worker.name);
    socket.setNoDelay(true);
    // Node aborts when HTTP/2 takes a socket with a write under way (seen with 20.20).
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${linkProtocol}\r\n\r\n`,
      (error) => {
        if (!error && !socket.destroyed) take(socket);
      },
    );
  }

  async #passOn(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (this.#parts.workers.holderOf(tokenOf(req)) === undefined)
      return reply(res, 401, {
        error: { code: 'unauthorized', message: 'this endpoint needs a worker’s token' },
      });
    this.#strangers.trust(req.socket);
    const url = new URL(req.url ?? '/', localUrl(this.#parts.api));
    const onward = request(url, {
      method: req.method,
      headers: { ...req.headers, host: url.host },
    });
    res.once('close', () => onward.destroy());
    req.pipe(onward);
    const failed = once(onward, 'error').then(([error]) => error as Error);
    const answered = once(onward, 'response').then(([answer]) => answer as IncomingMessage);
    const answer = await Promise.race([failed, answered]);
    if (answer instanceof Error) {
      if (errnoOf(answer) !== 'ECONNREFUSED' && errnoOf(answer) !== 'ECONNRESET') throw answer;
      return reply(res, 503, { message: 'the API does not answer now' });
    }
    res.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.on('error', () => res.destroy());
    answer.pipe(res);
  }
}

const tokenOf = (req: IncomingMessage) =>
  /^Bearer (\S+)$/.exec(req.headers.authorization ?? '')?.[1] ?? '';

function reply(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' });
  res.end(`${JSON.stringify(body)}\n`);
}

/** Answers a request for another protocol, which Node leaves to us. */
function refuse(socket: TLSSocket, status: string, message: string): void {
  const body = `${JSON.stringify({ message })}\n`;
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
