import { createHash, timingSafeEqual } from 'node:crypto';
import type { RequestHandler } from 'express';
import { AppError } from '../errors.js';

/**
 * Lets through requests that carry the token. Every refusal is the same 401: whether the header was missing,
 * malformed or wrong is nobody's business.
 */
export function requireBearer(token: string): RequestHandler {
  const expected = digest(token);
  return (req, _res, next) => {
    const given = /^Bearer +(\S+) *$/i.exec(req.get('authorization') ?? '')?.[1];
    // Digests have one length, which timingSafeEqual needs, and tell nothing of the token's own.
    if (!timingSafeEqual(digest(given ?? ''), expected) || given === undefined)
      throw new AppError('unauthorized', 'send "Authorization: Bearer <token>" with a valid token');
    next();
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
