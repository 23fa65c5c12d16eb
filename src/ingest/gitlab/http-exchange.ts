import { abortWith } from '../../abort.js';
import { errnoOf } from '../../errors.js';
import { GitLabConnectionError, GitLabError } from './errors.js';

/** A complete reply, whatever its status. */
export interface Reply {
  status: number;
  headers: Headers;
  body: string;
}

export interface HttpExchange {
  method: 'GET' | 'POST' | 'PUT';
  url: URL;
  headers: Record<string, string>;
  body?: string;
  /** Maximum time from the first byte sent to the last one received, in milliseconds. */
  timeoutMs: number;
  /** Maximum length of the reply; a longer one is rejected. */
  maxBytes: number;
}

/**
 * Codes of OpenSSL and Node for an invalid certificate (nodejs.org/api/tls, “X509 certificate error
 * codes”).
 */
const untrusted = /CERT|^UNABLE_TO_VERIFY|^HOSTNAME_MISMATCH$|^INVALID_PURPOSE$/;

/**
 * Sends one request and reads its reply, with Node’s own `fetch`. We handle redirections and
 * retries, and count the body as it arrives.
 * No redirection is followed, since the token would go along.
 * @throws GitLabConnectionError without a complete reply; the request may have arrived all the same
 * @throws GitLabError when the reply is too long
 * @throws the signal’s reason when it fires
 */
export async function httpExchange(
  request: HttpExchange,
  signal: AbortSignal | undefined,
): Promise<Reply> {
  signal?.throwIfAborted();
  const { method, url, headers, body, timeoutMs, maxBytes } = request;
  const ending = new AbortController();
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    ending.abort();
  }, timeoutMs);
  const release = signal && abortWith(ending, signal);
  try {
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      signal: ending.signal,
      headers,
      ...(body !== undefined && { body }),
    });
    const bytes = await read(response, maxBytes);
    return { status: response.status, headers: response.headers, body: bytes.toString('utf8') };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof GitLabError) throw error;
    const { cause } = error as Error;
    const code = errnoOf(cause);
    const why = timedOut
      ? `no complete reply within ${timeoutMs / 1000} s`
      : (code ?? (cause instanceof Error ? cause.message : 'the connection broke'));
    throw new GitLabConnectionError(
      `Unable to connect to GitLab server at ${url.origin} (${why})`,
      {
        cause: error,
        isFinal: untrusted.test(code ?? ''),
      },
    );
  } finally {
    clearTimeout(timer);
    release?.();
  }
}

async function read(response: Response, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (response.body === null) return Buffer.alloc(0);
  // Leaving the loop early closes the connection.
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes)
      throw new GitLabError(`GitLab’s reply is longer than ${maxBytes / 1024 ** 2} MiB`, {
        status: response.status,
      });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
