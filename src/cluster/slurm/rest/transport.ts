import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text as readText } from 'node:stream/consumers';
import { Transform } from 'node:stream';
import { errnoOf } from '../../../errors.js';
import { SlurmError } from '../command.js';
import { errorIn } from './errors.js';
import { expiryOf } from './token.js';

export interface RestAccess {
  /** `http://host:port`, `https://host:port` or `unix:/path`. */
  url: string;
  /** The user in whose name slurmrestd is asked. */
  user: string;
  /** Returns the current token. @throws ConfigError when there is none. */
  token: () => string;
  now: () => number;
}

export interface RestRequest {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  body?: object;
  timeoutMs?: number;
}

/** Sends one request and returns the parsed reply. @throws SlurmError */
export type RestAsk = (request: RestRequest) => Promise<unknown>;

/** Exceeds the 9 s that slurmrestd itself waits for an absent slurmctld. */
const usualTimeoutMs = 20_000;
const maxBytes = 256 * 1024 ** 2;

/** Makes a function that asks slurmrestd. That function throws SlurmError. */
export function restTransport(access: RestAccess): RestAsk {
  return async ({ method, path, body, timeoutMs = usualTimeoutMs }) => {
    const token = freshToken(access);
    const sent = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const options: RequestOptions = {
      method,
      agent: false,
      headers: {
        Accept: 'application/json',
        // If asked to close the connection, slurmrestd writes that header after the body, which
        // breaks HTTP (22.05 and 24.11, tried).
        Connection: 'keep-alive',
        'X-SLURM-USER-NAME': access.user,
        'X-SLURM-USER-TOKEN': token,
        ...(sent && { 'Content-Type': 'application/json', 'Content-Length': sent.length }),
      },
    };
    const answer = await exchange(access.url, path, options, sent, timeoutMs);
    const parsed = parse(answer.body);
    const error = errorIn(answer.status, parsed);
    if (error) throw error;
    if (typeof parsed === 'string')
      throw new SlurmError('unanswered', 'slurmrestd’s reply is not JSON');
    return parsed;
  };
}

function freshToken({ token, now }: RestAccess): string {
  let found: string;
  try {
    found = token();
  } catch (cause) {
    throw new SlurmError('unreachable', (cause as Error).message, { cause });
  }
  const expiry = expiryOf(found);
  if (expiry !== undefined && expiry <= now())
    throw new SlurmError(
      'unreachable',
      `the token for slurmrestd expired at ${new Date(expiry).toISOString()}; replace it with a new one (scontrol token)`,
    );
  return found;
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) return body;
    throw error;
  }
}

/**
 * Sends one request over a new connection.
 * @throws SlurmError `unreachable` if no connection was made, `unanswered` after that
 */
function exchange(
  url: string,
  path: string,
  options: RequestOptions,
  sent: Buffer | undefined,
  timeoutMs: number,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    let isConnected = false;
    const fail = (cause: unknown) => {
      const why = errnoOf(cause) ?? (cause as Error).message;
      const kind = isConnected ? 'unanswered' : 'unreachable';
      reject(new SlurmError(kind, `slurmrestd does not answer (${why})`, { cause }));
    };
    const onReply = (reply: IncomingMessage) => {
      let bytes = 0;
      const counted = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          bytes += chunk.length;
          done(bytes > maxBytes ? new Error('its reply is too long') : null, chunk);
        },
      });
      reply.on('error', (error) => counted.destroy(error));
      readText(reply.pipe(counted)).then((body) => {
        request.destroy();
        resolve({ status: reply.statusCode ?? 500, body });
      }, fail);
    };
    const socketPath = /^unix:(?:\/\/)?(\/.*)$/.exec(url)?.[1];
    const request =
      socketPath === undefined
        ? (url.startsWith('https:') ? httpsRequest : httpRequest)(url + path, options, onReply)
        : httpRequest({ ...options, socketPath, path, host: 'localhost' }, onReply);
    request.on('socket', (socket) =>
      socket.once(url.startsWith('https:') ? 'secureConnect' : 'connect', () => {
        isConnected = true;
      }),
    );
    const timer = setTimeout(
      () => request.destroy(new Error(`nothing within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    request.on('close', () => clearTimeout(timer));
    request.on('error', fail);
    request.end(sent);
  });
}
