import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Duplex } from 'node:stream';
import { connectPinned, silenceError, type LinkTarget } from './pinned-connection.js';

/**
 * The controller was unreachable, or the connection broke: the request may or may not have been
 * done.
 */
export class LinkError extends Error {
  override readonly name = 'LinkError';
}

/** A refusal by the controller, or by a server in its place. */
export class ControllerRefusal extends Error {
  override readonly name = 'ControllerRefusal';
  constructor(
    readonly status: number,
    message: string,
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

/**
 * HTTPS to the join port. It sends nothing before it has checked that the certificate is the one in
 * the join token.
 */
export class ControllerLink {
  readonly #target: LinkTarget;
  readonly #token: string;

  readonly #agent: Agent;

  constructor(target: LinkTarget, token: string) {
    this.#target = target;
    this.#token = token;

    this.#agent = pinnedAgent(target);
  }

  /** Requests a reply's body, as a stream. @throws LinkError; ControllerRefusal */
  async open(
    method: string,
    path: string,
    { body, headers = {}, signal }: CallOptions = {},
  ): Promise<IncomingMessage> {
    const { host, port, silenceMs } = this.#target;
    const outgoing = request({
      agent: this.#agent,
      host,
      port,
      method,
      path,
      timeout: silenceMs,
      headers: {
        ...(this.#token !== '' && { Authorization: `Bearer ${this.#token}` }),
        ...(typeof body === 'string' && { 'Content-Type': 'application/json' }),
        ...(body instanceof Buffer && { 'Content-Type': 'application/octet-stream' }),
        ...(body !== undefined && { 'Content-Length': Buffer.byteLength(body) }),
        ...headers,
      },
      ...(signal && { signal }),
    });
    outgoing.once('timeout', () => outgoing.destroy(silenceError(silenceMs)));
    const failed = once(outgoing, 'error').then(([error]) => error as Error);
    const answered = once(outgoing, 'response').then(([reply]) => reply as IncomingMessage);
    // Otherwise the second error of the two would be unhandled.
    failed.catch(() => undefined);
    answered.catch(() => undefined);
    outgoing.end(body);
    const reply = await Promise.race([answered, failed]).catch((error: unknown) => error as Error);
    if (reply instanceof Error)
      throw new LinkError(`the controller at ${host}:${port} is unreachable: ${reply.message}`, {
        cause: reply,
      });
    if (reply.statusCode !== undefined && reply.statusCode < 300) return reply;
    throw await refusalOf(reply);
  }

  /**
   * Passes a reply's whole body to `take`. @throws LinkError when it is cut off; errors of `take`
   */
  async drain(reply: IncomingMessage, take: (chunk: Buffer) => Promise<void>): Promise<void> {
    const chunks = reply[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    for (;;) {
      const next = await chunks.next().catch((cause: unknown) => {
        throw new LinkError('the controller’s reply was cut off', { cause });
      });
      if (next.done === true) return;
      await take(next.value);
    }
  }

  /** Requests a reply's body, as JSON. @throws LinkError; ControllerRefusal */
  async call(method: string, path: string, options: CallOptions = {}): Promise<unknown> {
    const reply = await this.open(method, path, options);
    const said = await text(reply).catch((cause: unknown) => {
      throw new LinkError('the controller’s reply was cut off', { cause });
    });
    return JSON.parse(said);
  }

  close(): void {
    this.#agent.destroy();
  }
}

export interface CallOptions {
  body?: string | Buffer;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

async function refusalOf(reply: IncomingMessage): Promise<Error> {
  const status = reply.statusCode ?? 0;
  const said = await text(Readable.from(reply)).catch(() => '');
  let parsed: { message?: string; error?: { message?: string; details?: Record<string, unknown> } };
  try {
    parsed = JSON.parse(said) as typeof parsed;
  } catch {
    parsed = {};
  }
  const message = parsed.error?.message ?? parsed.message ?? `HTTP ${status}`;
  if (status === 503) return new LinkError(message);
  return new ControllerRefusal(status, message, parsed.error?.details);
}

/** Makes an agent that accepts only that certificate, whatever its name and date. */
function pinnedAgent(target: LinkTarget): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  agent.createConnection = (_options, callback) => {
    const done = callback as ((error: Error | null, socket: Duplex) => void) | undefined;
    connectPinned(target, (error, socket) => done?.(error, socket));
    return undefined;
  };
  return agent;
}
