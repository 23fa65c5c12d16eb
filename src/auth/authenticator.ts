import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Request } from 'express';
import pLimit from 'p-limit';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { AppError } from '../errors.js';
import type { Caller } from './caller.js';
import type { Tokens } from './tokens.js';

const wrongOnes = { points: 10, duration: 60 };
const maxRemembered = 10_000;

/** Identifies the caller of a request, and slows down callers that try wrong tokens in a row. */
export class Authenticator {
  readonly #tokens: Tokens;
  readonly #wrong = new RateLimiterMemory(wrongOnes);
  /** Good tokens by network: they keep working while others guess tokens from the same address. */
  readonly #good = new Set<string>();
  /** Pipelined requests (RFC 9112, 9.3.2) wait until the attempts before them are counted. */
  readonly #inTurn = pLimit(1);

  constructor(tokens: Tokens) {
    this.#tokens = tokens;
  }

  /**
   * Identifies the caller by the token.
   * @param address IP address of the request
   * @throws AppError unauthorized, with one message for a missing, malformed, wrong, expired or
   *   revoked token; too_many_attempts, without checking the token, after ten wrong tokens from
   *   that network within a minute
   */
  async check(token: string | undefined, address: string): Promise<Caller> {
    if (token === undefined) throw unauthorized();
    const network = networkOf(address);
    const key = createHash('sha256').update(`${network} ${token}`).digest('base64');
    if (this.#good.has(key)) return this.#look(token, network, key);
    return this.#inTurn(async () => {
      await this.#ensureFewAttempts(network);
      return this.#look(token, network, key);
    });
  }

  /**
   * Tells whether the caller's token is still valid; it may expire or be revoked during a reply.
   */
  stillHolds(caller: Caller): boolean {
    return this.#tokens.stillHolds(caller);
  }

  async #ensureFewAttempts(network: string): Promise<void> {
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
      // The token was revoked or has expired, so treat it like any wrong one.
      this.#good.delete(key);
      await this.#wrong.penalty(network);
      throw unauthorized();
    }
    if (this.#good.size >= maxRemembered) this.#good.clear();
    this.#good.add(key);
    return caller;
  }
}

/** Reads the token in the `Authorization` header. */
export function bearerOf(req: Request): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(req.get('authorization') ?? '')?.[1];
}

function unauthorized(): AppError {
  return new AppError('unauthorized', 'send "Authorization: Bearer <token>" with a valid token');
}

/**
 * Finds the network whose attempts are counted together: an IPv6 user has 2^64 addresses (RFC
 * 6177).
 */
export function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address;
  const [head = '', tail] = address.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return [...front, ...(tail === undefined ? [] : middle), ...back].slice(0, 4).join(':');
}
