import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Request } from 'express';
import pLimit from 'p-limit';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { AppError } from '../errors.js';
import type { Caller } from './caller.js';
import type { Tokens } from './tokens.js';

const wrongOnes = { points: 10, duration: 60 };
const mostRemembered = 10_000;

/** Tells who sends a request, and slows down whoever tries one wrong token after another. */
export class Authenticator {
  readonly #tokens: Tokens;
  readonly #wrong = new RateLimiterMemory(wrongOnes);
  /** Tokens that were good, by where they came from: they go on working from an address that others use for guessing. */
  readonly #good = new Set<string>();
  /** Requests that come at once (RFC 9112, 9.3.2) are not looked at before those in front of them were counted. */
  readonly #inTurn = pLimit(1);

  constructor(tokens: Tokens) {
    this.#tokens = tokens;
  }

  /**
   * @param address the IP address it came from
   * @throws AppError unauthorized, the same for missing, malformed, wrong, expired and revoked: which it is, is nobody's business;
   *   too_many_attempts, without a look at the token, after ten wrong ones from that network within a minute.
   */
  async check(token: string | undefined, address: string): Promise<Caller> {
    if (token === undefined) throw unauthorized();
    const network = networkOf(address);
    const key = createHash('sha256').update(`${network} ${token}`).digest('base64');
    if (this.#good.has(key)) return this.#look(token, network, key);
    return this.#inTurn(async () => {
      await this.#refuseMany(network);
      return this.#look(token, network, key);
    });
  }

  /** Whether a token that was good still is: it may have been revoked or have expired while its request is answered. */
  stillHolds(caller: Caller): boolean {
    return this.#tokens.stillHolds(caller);
  }

  async #refuseMany(network: string): Promise<void> {
    const before = await this.#wrong.get(network);
    if (before !== null && before.consumedPoints >= wrongOnes.points) {
      const seconds = Math.ceil(before.msBeforeNext / 1000);
      throw new AppError(
        'too_many_attempts',
        `too many wrong tokens from this address: try again in ${seconds} s`,
        { details: { retry_after_s: seconds } },
      );
    }
  }

  async #look(token: string, network: string, key: string): Promise<Caller> {
    const caller = this.#tokens.holderOf(token);
    if (caller === undefined) {
      // Revoked or expired since: from now on a wrong one like others.
      this.#good.delete(key);
      await this.#wrong.penalty(network);
      throw unauthorized();
    }
    if (this.#good.size >= mostRemembered) this.#good.clear();
    this.#good.add(key);
    return caller;
  }
}

/** The token in the `Authorization` header. */
export function bearerOf(req: Request): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(req.get('authorization') ?? '')?.[1];
}

function unauthorized(): AppError {
  return new AppError('unauthorized', 'send "Authorization: Bearer <token>" with a valid token');
}

/** An IPv6 user has 2^64 addresses: what counts is their network (RFC 6177). */
export function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address;
  const [head = '', tail] = address.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return [...front, ...(tail === undefined ? [] : middle), ...back].slice(0, 4).join(':');
}
