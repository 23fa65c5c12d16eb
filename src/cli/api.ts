import { z } from 'zod';
import type { ClientConfig } from '../config/client.js';
import { errnoOf } from '../errors.js';
import { CliError } from './cli-error.js';
import { plain } from './terminal.js';

/** Twice the time limit that the API's Slurm clients have. */
const timeoutMs = 30_000;

const errorReply = z.object({ error: z.object({ message: z.string() }) });

/**
 * Calls the API over HTTP. The token is sent only in the header, and never to the target of a
 * redirect.
 */
export class Api {
  readonly #config: Pick<ClientConfig, 'url' | 'token'>;

  constructor(config: Pick<ClientConfig, 'url' | 'token'>) {
    this.#config = config;
  }

  async get<S extends z.ZodType>(path: string, schema: S): Promise<z.infer<S>> {
    return this.#read(await this.#call('GET', path), schema);
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
    return { bytes: body, next: Number(headers.get('x-next-offset')) };
  }

  /** Checks a reply. Fields unknown to this version pass through, for `--json`. */
  #read<S extends z.ZodType>(reply: { body: Buffer }, schema: S): z.infer<S> {
    const value = parseJson(reply.body);
    const { issues = [] } = schema.safeParse(value).error ?? {};
    const problems = issues.filter(({ code }) => code !== 'unrecognized_keys');
    if (problems.length > 0)
      throw new CliError(
        `${this.#config.url} answers, but not as this version of JobRunner does: ${z.prettifyError({ issues: problems }).replace(/\s+/g, ' ')}`,
      );
    // Schemas of replies check values and change none.
    return value as z.infer<S>;
  }

  async #call(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ body: Buffer; headers: Headers }> {
    const { url } = this.#config;
    const token = this.#config.token();
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), timeoutMs);
    try {
      const response = await fetch(url + path, {
        method,
        redirect: 'error',
        signal: timeout.signal,
        headers: {
          Authorization: `Bearer ${token}`,
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const bytes = Buffer.from(await response.arrayBuffer());
      if (response.ok) return { body: bytes, headers: response.headers };
      if (response.status === 401)
        throw new CliError(
          `the API at ${url} rejects the token: set JR_AUTH_TOKEN to the service's token or to a user's valid one`,
        );
      const told = errorReply.safeParse(parseJson(bytes));
      throw new CliError(
        told.success ? plain(told.data.error.message) : `${url} answers ${response.status}`,
      );
    } catch (error) {
      if (error instanceof CliError) throw error;
      const why = timeout.signal.aborted
        ? `no answer in ${timeoutMs / 1000} s`
        : (errnoOf((error as Error).cause) ??
          ((error as Error).cause as Error | undefined)?.message);
      throw new CliError(
        `the API at ${url} cannot be reached (${plain(why ?? String(error))}); choose another with JR_URL or --url`,
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
