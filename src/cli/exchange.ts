import { once } from 'node:events';
import { request as requestHttp, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { buffer } from 'node:stream/consumers';

export interface Exchange {
  method: string;
  /** The API's URL, with the path. */
  url: URL;
  /** A Unix socket of the API to use instead of the URL's host. */
  socket: string | undefined;
  headers: Record<string, string>;
  body: string | undefined;
  signal: AbortSignal;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Sends a request and reads the whole answer. Follows no redirect. */
export async function exchange({
  method,
  url,
  socket,
  headers,
  body,
  signal,
}: Exchange): Promise<Answer> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  const sending = request(url, {
    method,
    headers,
    signal,
    ...(socket !== undefined && { socketPath: socket }),
  });
  const answered = once(sending, 'response');
  // Fails the body as well, which is read below; without a listener, it would end the process.
  sending.on('error', () => undefined);
  sending.end(body);
  const [response] = (await answered) as [IncomingMessage];
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: await buffer(response),
  };
}
