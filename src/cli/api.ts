import { z } from 'zod';
import type { ClientConfig } from '../config/client.js';
import { errnoOf } from '../errors.js';
import { CliError } from './cli-error.js';
import { exchange, type Answer } from './exchange.js';
import { plain } from './terminal.js';

/** Twice the time limit that the API's Slurm clients have. */
const timeoutMs = 30_000;

const errorReply = z.object({ error: z.object({ message: z.string() }) });

type ApiConfig = Pick<ClientConfig, 'url' | 'socket' | 'token'>;

/**
 * Calls the API over HTTP. The token is sent only in the header, and never to the target of a
 * redirect. Over the owner's socket, no token is needed.
 */
export class Api {
  readonly #config: ApiConfig;

  constructor(config: ApiConfig) {
    this.#config = config;
  }

  /** The API's address, for messages. */
  get #address(): string {
    return this.#config.socket ?? this.#config.url;
  }

  /** @param also statuses of failures whose reply is read like any other */
  async get<S extends z.ZodType>(
    path: string,
    schema: S,
    also: readonly number[] = [],
  ): Promise<z.infer<S>> {
    return this.#read(await this.#call('GET', path, undefined, also), schema);
  }

  async post<S extends z.ZodType>(path: string, body: object, schema: S): Promise<z.infer<S>> {
    return this.#read(await this.#call('POST', path, body), schema);
  }

  async put<S extends z.ZodType>(path: string, body: object, schema: S): Promise<z.infer<S>> {
    return this.#read(await this.#call('PUT', path, body), schema);
  }

  async delete<S extends z.ZodType>(path: string, schema: S): Promise<z.infer<S>> {
    return this.#read(await this.#call('DELETE', path), schema);
  }

  /** Reads a piece of a log and the offset of the next one. */
  async log(path: string): Promise<{ bytes: Buffer; next: number }> {
    const { body, headers } = await this.#call('GET', path);
    return { bytes: body, next: Number(headers['x-next-offset']) };
  }

  /** Checks a reply. Fields unknown to this version pass through, for `--json`. */
  #read<S extends z.ZodType>(reply: { body: Buffer }, schema: S): z.infer<S> {
    const value = parseJson(reply.body);
    const { issues = [] } = schema.safeParse(value).error ?? {};
    const problems = issues.filter(({ code }) => code !== 'unrecognized_keys');
    if (problems.length > 0)
      throw new CliError(
        `${this.#address} answers, but not as this version of JobRunner does: ${z.prettifyError({ issues: problems }).replace(/\s+/g, ' ')}`,
      );
    // Schemas of replies check values and change none.
    return value as z.infer<S>;
  }

  async #call(
    method: string,
    path: string,
    body?: object,
    also: readonly number[] = [],
  ): Promise<Answer> {
    const { url, socket } = this.#config;
    const token = socket === undefined ? this.#config.token() : undefined;
    const address = this.#address;
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), timeoutMs);
    try {
      const answer = await exchange({
        method,
        url: new URL(url + path),
        socket,
        signal: timeout.signal,
        headers: {
          ...(token !== undefined && { Authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const { status } = answer;
      if ((status >= 200 && status < 300) || also.includes(status)) return answer;
      if (status === 401)
        throw new CliError(
          `the API at ${address} rejects the token: set JR_AUTH_TOKEN to the service's token or to a user's valid one`,
        );
      const told = errorReply.safeParse(parseJson(answer.body));
      throw new CliError(
        told.success ? plain(told.data.error.message) : `${address} answers ${status}`,
      );
    } catch (error) {
      if (error instanceof CliError) throw error;
      const why = timeout.signal.aborted
        ? `no answer in ${timeoutMs / 1000} s`
        : (errnoOf(error) ?? (error as Error).message);
      throw new CliError(
        `the API at ${address} cannot be reached (${plain(why)}); choose another with JR_URL or --url`,
        { cause: error },
      );
    } finally {
      clearTimeout(timer);
    }
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    // A reply that is no JSON fits no schema.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
