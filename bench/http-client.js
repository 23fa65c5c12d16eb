import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';

/** One keep-alive client of the API; `close` ends its connections. */
export class HttpClient {
  #agent = new Agent({ keepAlive: true });

  /**
   * @param {string} url
   * @param {string} token
   * @param {AbortSignal} signal
   */
  constructor(url, token, signal) {
    this.url = url;
    this.token = token;
    this.signal = signal;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body] sent as JSON
   * @returns {Promise<{ status: number, text: string }>}
   */
  async call(method, path, body) {
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const outgoing = request(this.url + path, {
      method,
      agent: this.#agent,
      signal: this.signal,
      headers: {
        Authorization: `Bearer ${this.token}`,
        ...(content && { 'Content-Type': 'application/json', 'Content-Length': content.length }),
      },
    });
    outgoing.end(content);
    /** @type {[import('node:http').IncomingMessage]} */
    const [reply] = await once(outgoing, 'response');
    return { status: reply.statusCode ?? 0, text: await text(reply) };
  }

  /**
   * @param {number} expected status
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @returns {Promise<any>} the JSON that came back
   */
  async expect(expected, method, path, body) {
    const reply = await this.call(method, path, body);
    if (reply.status !== expected)
      throw new Error(`${method} ${path}: ${reply.status}, not ${expected}: ${reply.text}`);
    return reply.text === '' ? undefined : JSON.parse(reply.text);
  }

  close() {
    this.#agent.destroy();
  }
}
