import { once } from 'node:events';
import { request, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { z } from 'zod';
import { isSameSecret } from '../../config/join-token.js';
import { joinRequestSchema } from '../../cluster/workers/record.js';
import { localUrl, type Config } from '../../config/config.js';
import { errnoOf } from '../../errors.js';
import { JoinRefusal, type WorkerRegister } from './worker-register.js';
import type { JoinFiles } from './join-files.js';

const maxBodyBytes = 256 * 1024;
const wrongSecrets = { points: 10, duration: 60 };
/** Delays the reply to each wrong secret, whoever sent it. */
const wrongSecretMs = 1000;
/**
 * Workers' requests to the API. A dot, a `%` or a second slash could make the path lead elsewhere
 * (url.spec.whatwg.org).
 */
const workersTarget = /^\/workers(\/\w+)+(\?\w+=\w+)?$/;

/**
 * The TLS server where workers join and through which they reach the API. It belongs to root's
 * process, since the API must not read the munge key. It passes on only requests below `/workers/`;
 * there the API checks the worker's own token.
 */
export class JoinServer {
  readonly #config: Pick<Config, 'host' | 'port'>;
  readonly #files: JoinFiles;
  readonly #register: WorkerRegister;
  readonly #say: (line: string) => void;

  readonly #wrong = new RateLimiterMemory(wrongSecrets);
  readonly #server: Server;

  private constructor(
    config: Pick<Config, 'host' | 'port'>,
    files: JoinFiles,
    register: WorkerRegister,
    say: (line: string) => void,
  ) {
    this.#config = config;
    this.#files = files;
    this.#register = register;
    this.#say = say;

    this.#server = createServer(
      {
        cert: files.certificate,
        key: files.key,
        minVersion: 'TLSv1.3',
        // No client may hold a socket of root's process for ever. A body has Node's 300 s; a reply
        // has no limit.
        headersTimeout: 20_000,
      },
      (req, res) => {
        this.#answer(req, res).catch((error: unknown) => {
          this.#say(`the join port: ${String(error)}`);
          if (res.headersSent) res.destroy();
          else reply(res, 500, { message: 'the controller failed; see its own output' });
        });
      },
    );
  }

  static async open(
    port: number,
    config: Pick<Config, 'host' | 'port'>,
    files: JoinFiles,
    register: WorkerRegister,
    say: (line: string) => void,
  ): Promise<JoinServer> {
    const server = new JoinServer(config, files, register, say);
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
    const body = await readAll(req);
    const asked = body === undefined ? undefined : joinRequestSchema.safeParse(parse(body));
    if (asked?.success !== true)
      return reply(res, 400, {
        message: `not a join request of this version: ${asked?.error ? z.prettifyError(asked.error) : 'too large'}`,
      });
    // Nobody can guess the secret, so wrong ones block no worker with the right one.
    if (!isSameSecret(asked.data.secret, this.#files.secret())) {
      const before = await this.#wrong.get(address);
      if (before !== null && before.consumedPoints >= wrongSecrets.points)
        return reply(res, 429, {
          message: 'too many wrong join tokens from this address; try again in a minute',
        });
      await this.#wrong.penalty(address);
      await delay(wrongSecretMs);
      return reply(res, 403, {
        message:
          'JR_JOIN_TOKEN: is not this controller’s, or was renewed; take the token from "jobrunner worker token" there',
      });
    }
    try {
      const worker = await this.#register.admit(asked.data);
      this.#say(`${worker.name} joins from ${address}`);
      reply(res, 200, worker);
    } catch (error) {
      if (!(error instanceof JoinRefusal)) throw error;
      reply(res, 409, { message: error.message });
    }
  }

  async #leave(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const token = /^Bearer (\S+)$/.exec(req.headers.authorization ?? '')?.[1] ?? '';
    req.resume();
    const name = await this.#register.dismiss(token);
    if (name === undefined) return reply(res, 401, { message: 'no worker has this token' });
    this.#say(`${name} has left`);
    reply(res, 200, { name });
  }

  async #passOn(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? '/', localUrl(this.#config));
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

function reply(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' });
  res.end(`${JSON.stringify(body)}\n`);
}

/** Reads a body. @returns undefined when it is larger than any worker's. */
async function readAll(req: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The schema refuses anything but an object.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
