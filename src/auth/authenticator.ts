import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Request, RequestHandler } from 'express';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { AppError } from '../errors.js';
import { setCaller, type Caller } from './caller.js';
import type { Tokens } from './tokens.js';

const wrongOnes = { points: 10, duration: 60 };
const mostRemembered = 10_000;

/** Tells who sends a request, and slows down whoever tries one wrong token after another. */
export class Authenticator {
  readonly #tokens: Tokens;
  readonly #wrong = new RateLimiterMemory(wrongOnes);
  /** Tokens that were good, by where they came from: they go on working from an address that others use for guessing. */
  readonly #good = new Set<string>();

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
    const before = this.#good.has(key) ? null : await this.#wrong.get(network);
    if (before !== null && before.consumedPoints >= wrongOnes.points) {
      const seconds = Math.ceil(before.msBeforeNext / 1000);
      throw new AppError(
        'too_many_attempts',
        `too many wrong tokens from this address: try again in ${seconds} s`,
        { details: { retry_after_s: seconds } },
      );
    }
    const caller = this.#tokens.holderOf(token);
    if (caller === undefined) {
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

/** Lets through requests whose `Authorization` header carries a token that opens something; see `callerOf`. */
export function requireToken(authenticator: Authenticator): RequestHandler {
  return async (req, res, next) => {
    setCaller(res, await authenticator.check(bearerOf(req), req.ip ?? ''));
    next();
  };
}

function unauthorized(): AppError {
  return new AppError('unauthorized', 'send "Authorization: Bearer <token>" with a valid token');
}

/** An IPv6 user has 2^64 addresses: what counts is their network (RFC 6177). */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address;
  const [head = '', tail] = address.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return [...front, ...(tail === undefined ? [] : middle), ...back].slice(0, 4).join(':');
}
