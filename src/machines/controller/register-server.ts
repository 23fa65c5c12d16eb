import { once } from 'node:events';
import { chmodSync, chownSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { joinRequestSchema } from '../../cluster/workers/record.js';
import { isSameSecret } from '../../config/join-token.js';
import type { Owner } from '../daemons/unix-users.js';
import type { JoinFiles } from './join-files.js';
import { readBody } from './read-body.js';
import { JoinRefusal, type WorkerRegister } from './worker-register.js';

/**
 * Admits and dismisses workers for the join port. It belongs to root's process, since neither the
 * join port nor the API may read the munge key or the join secret. Only the join port's user can
 * connect.
 */
export class RegisterServer {
  readonly #files: Pick<JoinFiles, 'secret'>;
  readonly #register: WorkerRegister;
  readonly #say: (line: string) => void;

  readonly #server: Server;

  private constructor(
    files: Pick<JoinFiles, 'secret'>,
    register: WorkerRegister,
    say: (line: string) => void,
  ) {
    this.#files = files;
    this.#register = register;
    this.#say = say;

    this.#server = createServer((req, res) => {
      this.#answer(req, res).catch((error: unknown) => {
        this.#say(`the join port: ${String(error)}`);
        if (res.headersSent) res.destroy();
        else reply(res, 500, { message: 'the controller failed; see its own output' });
      });
    });
  }

  static async open(
    path: string,
    owner: Owner,
    files: Pick<JoinFiles, 'secret'>,
    register: WorkerRegister,
    say: (line: string) => void,
  ): Promise<RegisterServer> {
    const server = new RegisterServer(files, register, say);
    // A killed stack leaves its socket behind.
    rmSync(path, { force: true });
    server.#server.listen(path);
    await once(server.#server, 'listening');
    chownSync(path, owner.uid, owner.gid);
    chmodSync(path, 0o600);
    return server;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (req.url === '/join') return this.#join(req, res);
    if (req.url === '/leave') return this.#leave(req, res);
    reply(res, 404, { message: 'no such endpoint' });
  }

  async #join(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const asked = joinRequestSchema.safeParse(parse((await readBody(req)) ?? ''));
    if (!asked.success)
      return reply(res, 400, {
        message: `not a join request of this version: ${z.prettifyError(asked.error)}`,
      });
    if (!isSameSecret(asked.data.secret, this.#files.secret()))
      return reply(res, 403, {
        message:
          'JR_JOIN_TOKEN: is not this controller’s, or was renewed; take the token from "jobrunner worker token" there',
      });
    try {
      const worker = await this.#register.admit(asked.data);
      this.#say(`${worker.name} joins from ${String(req.headers['x-address'])}`);
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
}

function reply(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' });
  res.end(`${JSON.stringify(body)}\n`);
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
