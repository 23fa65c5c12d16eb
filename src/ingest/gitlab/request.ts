import {
  GitLabAuthenticationError,
  GitLabConnectionError,
  GitLabError,
  GitLabNotFoundError,
  NoTokenProvidedError,
} from './errors.js';
import { httpExchange, type HttpExchange, type Reply } from './http-exchange.js';
import {
  backoffMs,
  isPassing,
  maxRetryAfterMs,
  systemClock,
  retryAfterMs,
  type Clock,
} from './retry.js';
import { errorTextOf } from './error-text.js';

export interface GitLabOptions {
  /**
   * URL of GitLab, such as https://gitlab.example.com; with a path if GitLab is installed below
   * one.
   */
  url: string;
  /** Personal, group or project access token, or OAuth access token. */
  token: string | undefined;
  /** Maximum of retries of a request; 10 by default. */
  maxRetries?: number | undefined;
  /** Time limit of each try; 30 s by default. */
  timeoutMs?: number | undefined;
  clock?: Clock | undefined;
  /** Called before each wait with the reason and the milliseconds. */
  onRetry?: ((why: string, waitMs: number) => void) | undefined;
}

type Request = Pick<HttpExchange, 'method' | 'url'> & { body?: object };

export interface Sending {
  signal?: AbortSignal | undefined;
  /** Statuses besides 2xx that are no error; with `judge`, only if it accepts the reply. */
  expected?: readonly number[];
  /** Judges each reply with an expected status; false means a retry. */
  judge?: (reply: Reply) => Promise<boolean>;
  /** Called after each failure for which GitLab may have executed the request. */
  onLost?: () => void;
}

type Tried =
  { reply: Reply } | { reply?: undefined; error: GitLabError; retryAfter: number | undefined };

const maxReplyBytes = 16 * 1024 ** 2;

/**
 * Sends requests to one GitLab and retries where that may help. The token goes into a header, and
 * only to that GitLab.
 */
export class GitLabRequests {
  readonly #options: GitLabOptions;

  readonly #base: string;
  readonly #token: string;
  readonly #clock: Clock;
  /** Time before which GitLab has asked for no more requests. */
  #notBefore = 0;

  /** @throws NoTokenProvidedError; GitLabError when the URL or the token cannot be used. */
  constructor(options: GitLabOptions) {
    this.#options = options;

    const { url, token = '' } = options;
    if (token === '') throw new NoTokenProvidedError();
    if (!/^[\x21-\x7e]{1,1024}$/.test(token))
      throw new GitLabError('the GitLab token: expected printable characters without spaces');
    // The message does not repeat the URL, which may contain a password.
    if (!URL.canParse(url)) throw new GitLabError('the GitLab URL: expected an http(s) URL');
    const { protocol, username, password, search, hash } = new URL(url);
    if (!/^https?:$/.test(protocol) || `${username}${password}${search}${hash}` !== '')
      throw new GitLabError('the GitLab URL: expected http(s)://host, without user, ? or #');
    this.#base = `${url.replace(/\/+$/, '')}/api/v4`;
    this.#token = token;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Makes a URL.
   * @param path below /api/v4, its parts encoded
   */
  url(path: string, query: Record<string, string | number> = {}): URL {
    const url = new URL(`${this.#base}${path}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
    return url;
  }

  /**
   * Sends a request and returns a reply with 2xx or with one of `expected`. Makes at most
   * `maxRetries` retries: after broken connections, late replies, 5xx, 409 and 429.
   * @throws GitLabAuthenticationError (401, 403), GitLabNotFoundError (404), GitLabConnectionError
   *   (all retries failed), GitLabError (another refusal), the signal’s reason
   */
  async send(request: Request, sending: Sending = {}): Promise<Reply> {
    const { maxRetries = 10 } = this.#options;
    for (let failures = 1; ; failures++) {
      await this.#wait(this.#notBefore - this.#clock.now(), sending.signal);
      const tried = await this.#try(request, sending);
      if (tried.reply !== undefined) return tried.reply;
      const { error, retryAfter = 0 } = tried;
      if (error.status === undefined || error.status >= 500) sending.onLost?.();
      const mayPass = error instanceof GitLabConnectionError && !error.isFinal;
      if (!mayPass || failures > maxRetries) throw error;
      const wait = Math.max(retryAfter, backoffMs(failures));
      this.#options.onRetry?.(error.message, wait);
      await this.#wait(wait, sending.signal);
    }
  }

  async #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (ms > 0) await this.#clock.sleep(ms, signal);
  }

  async #try({ method, url, body }: Request, sending: Sending): Promise<Tried> {
    const { signal, expected = [], judge } = sending;
    let reply: Reply;
    try {
      reply = await httpExchange(
        {
          method,
          url,
          headers: this.#headers(body !== undefined),
          ...(body !== undefined && { body: JSON.stringify(body) }),
          timeoutMs: this.#options.timeoutMs ?? 30_000,
          maxBytes: maxReplyBytes,
        },
        signal,
      );
    } catch (error) {
      if (error instanceof GitLabError) return { error, retryAfter: undefined };
      throw error;
    }
    const { status, headers } = reply;
    const retryAfter = this.#heed(status, headers);
    if (status >= 200 && status < 300) return { reply };
    if (!expected.includes(status))
      return { error: this.errorOf(reply, url, retryAfter), retryAfter };
    if (judge === undefined || (await judge(reply))) return { reply };
    const words = errorTextOf(reply.body, this.#token);
    return {
      error: new GitLabConnectionError(`GitLab cannot do that now (${status}: ${words})`, {
        status,
        words,
      }),
      retryAfter,
    };
  }

  /**
   * Delays all requests for as long as GitLab asks.
   * @returns that time, in milliseconds
   */
  #heed(status: number, headers: Headers): number | undefined {
    const now = this.#clock.now();
    const retryAfter = retryAfterMs(status, headers, now);
    if (retryAfter !== undefined && retryAfter <= maxRetryAfterMs)
      this.#notBefore = Math.max(this.#notBefore, now + retryAfter);
    return retryAfter;
  }

  #headers(hasBody: boolean): Record<string, string> {
    // An OAuth token is 64 hexadecimal digits, unlike any access token of GitLab, and only Bearer
    // accepts it.
    const isOauth = /^[0-9a-f]{64}$/.test(this.#token);
    return {
      Accept: 'application/json',
      'User-Agent': 'jobrunner',
      ...(isOauth ? { Authorization: `Bearer ${this.#token}` } : { 'PRIVATE-TOKEN': this.#token }),
      ...(hasBody && { 'Content-Type': 'application/json' }),
    };
  }

  /**
   * Makes the error for an unsuccessful reply.
   * @param waitMs time for which GitLab asks for no more requests
   */
  errorOf({ status, headers, body }: Reply, url: URL, waitMs?: number): GitLabError {
    const words = errorTextOf(body, this.#token);
    const said = words === '' ? `${status}` : `${status}: ${words}`;
    if (status === 401)
      return new GitLabAuthenticationError(
        `Authentication failed: GitLab at ${url.origin} refuses the token (${said}); it may be wrong, expired or revoked`,
        { status, words },
      );
    if (status === 403)
      return new GitLabAuthenticationError(
        `Authentication failed: GitLab does not let this token do that (${said}); it needs the scope api, and its user the role Developer`,
        { status, words },
      );
    if (status === 404) return new GitLabNotFoundError(`not found (${said})`, { status, words });
    if (status >= 300 && status < 400)
      return new GitLabError(
        `GitLab at ${url.origin} redirects to ${originOf(headers.get('location'), url)}: use that as its URL (JR_GITLAB_URL or --gitlab-url)`,
        { status, words },
      );
    if (!isPassing(status)) return new GitLabError(`GitLab refuses (${said})`, { status, words });
    if (waitMs !== undefined && waitMs > maxRetryAfterMs)
      return new GitLabError(
        `GitLab at ${url.origin} asks to be left alone for ${Math.ceil(waitMs / 60_000)} minutes (${said})`,
        { status, words },
      );
    return new GitLabConnectionError(
      status === 429
        ? `GitLab at ${url.origin} gets too many requests (${said})`
        : `GitLab at ${url.origin} cannot answer now (${said})`,
      { status, words },
    );
  }
}

function originOf(location: string | null, from: URL): string {
  return location !== null && URL.canParse(location, from.href)
    ? new URL(location, from.href).origin
    : 'somewhere else';
}
