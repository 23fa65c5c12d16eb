import { createHash } from 'node:crypto';
import type { Request } from 'express';
import pLimit from 'p-limit';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { AppError } from '../errors.js';
import { OWNER, type Caller } from './caller.js';
import type { KnownSenders } from './known-senders.js';
import type { Sender } from './senders.js';
import type { Tokens } from './tokens.js';

/** Different wrong tokens of one sender, and attempts with each of them. */
const wrongTokens = { points: 10, duration: 60 };
const attempts = { points: 10, duration: 60 };

/** Identifies the caller of a request, and slows down callers that try wrong tokens in a row. */
export class Authenticator {
  readonly #tokens: Tokens;
  readonly #known: KnownSenders;
  /** Counts the different wrong tokens of each sender. */
  readonly #wrong = new RateLimiterMemory(wrongTokens);
  /** Counts the attempts with each wrong token of each sender. */
  readonly #attempts = new RateLimiterMemory(attempts);
  /**
   * The end of the minute after a wrong token from this machine. Local senders are told apart only
   * until then, since that takes some milliseconds.
   */
  #guessedHereUntil = 0;
  /** Pipelined requests (RFC 9112, 9.3.2) wait until the attempts before them are counted. */
  readonly #inTurn = pLimit(1);

  constructor(tokens: Tokens, known: KnownSenders) {
    this.#tokens = tokens;
    this.#known = known;
  }

  /**
   * Identifies the caller by the token, or as the owner without one over the owner's socket.
   * @throws AppError unauthorized, with one message for a missing, malformed, wrong, expired or
   *   revoked token; too_many_attempts, without checking the token, after ten different wrong
   *   tokens of that sender within a minute, or ten attempts with one. Tokens that this sender used
   *   before, and tokens too long to be guessed, are not held back.
   */
  async check(token: string | undefined, sender: Sender): Promise<Caller> {
    if (token === undefined) {
      if (sender.isOwner) return { user: OWNER, role: 'admin', tokenId: null };
      throw unauthorized();
    }
    const longEnough = isUnguessable(token) ? this.#tokens.holderOf(token) : undefined;
    if (longEnough !== undefined) return longEnough;
    if (sender.isLocal && Date.now() >= this.#guessedHereUntil) {
      const caller = this.#tokens.holderOf(token);
      if (caller !== undefined) return caller;
      this.#noteGuessHere();
    }
    const name = await sender.name();
    const digest = createHash('sha256').update(`${name}\0${token}`).digest('hex');
    if (this.#known.has(digest)) {
      const caller = this.#tokens.holderOf(token);
      if (caller !== undefined) return caller;
      // The token was revoked or has expired, so treat it like any wrong one.
      this.#known.remove(digest);
    }
    return this.#inTurn(() => this.#try(token, sender.isLocal, name, digest));
  }

  /**
   * Tells whether the caller's token is still valid; it may expire or be revoked during a reply.
   */
  stillHolds(caller: Caller): boolean {
    return this.#tokens.stillHolds(caller);
  }

  async #try(token: string, isLocal: boolean, sender: string, digest: string): Promise<Caller> {
    const [wrong, same] = [await this.#wrong.get(sender), await this.#attempts.get(digest)];
    if (wrong !== null && wrong.consumedPoints >= wrongTokens.points)
      throw tooMany('too many wrong tokens from this address', wrong.msBeforeNext);
    if (same !== null && same.consumedPoints >= attempts.points)
      throw tooMany('too many attempts with this wrong token', same.msBeforeNext);
    const caller = this.#tokens.holderOf(token);
    if (caller === undefined) {
      if (isLocal) this.#noteGuessHere();
      const { consumedPoints } = await this.#attempts.penalty(digest);
      // A program that repeats one dead token does not hold back others behind its address.
      if (consumedPoints === 1) await this.#wrong.penalty(sender);
      throw unauthorized();
    }
    if (!isUnguessable(token)) this.#known.add(digest, caller.user);
    return caller;
  }

  /** Synchronous, so that guesses which arrive together do not all pass for the first one. */
  #noteGuessHere(): void {
    this.#guessedHereUntil = Date.now() + wrongTokens.duration * 1000;
  }
}

/** Reads the token in the `Authorization` header. */
export function bearerOf(req: Request): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(req.get('authorization') ?? '')?.[1];
}

/** Tells whether nobody can guess such a token over the network. Those of `Tokens` are longer. */
function isUnguessable(token: string): boolean {
  return token.length >= 32 && new Set(token).size >= 10;
}

function unauthorized(): AppError {
  return new AppError('unauthorized', 'send "Authorization: Bearer <token>" with a valid token');
}

function tooMany(what: string, msLeft: number): AppError {
  const seconds = Math.ceil(msLeft / 1000);
  return new AppError('too_many_attempts', `${what}: try again in ${seconds} s`, {
    details: { retry_after_s: seconds },
  });
}
