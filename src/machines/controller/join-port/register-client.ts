import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { errnoOf } from '../../../errors.js';

const bodySchema = z.looseObject({ name: z.string().optional(), message: z.string().optional() });

export interface RegisterReply {
  status: number;
  body: z.infer<typeof bodySchema>;
}

/** Asks root's process, which alone can admit and dismiss workers; see register-server.ts. */
export class RegisterClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** @param asked a worker's request to join, as it came */
  join(asked: string, address: string): Promise<RegisterReply> {
    return this.#call('/join', { 'X-Address': address }, asked);
  }

  leave(token: string): Promise<RegisterReply> {
    return this.#call('/leave', { Authorization: `Bearer ${token}` }, '');
  }

  async #call(path: string, headers: Record<string, string>, body: string): Promise<RegisterReply> {
    const call = request({ socketPath: this.#socketPath, path, method: 'POST', headers });
    call.end(body);
    try {
      const [reply] = (await once(call, 'response')) as [IncomingMessage];
      const said = bodySchema.parse(JSON.parse(await text(reply)));
      return { status: reply.statusCode ?? 500, body: said };
    } catch (error) {
      if (!['ENOENT', 'ECONNREFUSED', 'ECONNRESET'].includes(errnoOf(error) ?? '')) throw error;
      return { status: 503, body: { message: 'the controller is starting or stopping' } };
    }
  }
}
