import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * What a worker joins with: `jr1.<SHA-256 of the join port's certificate>.<secret>`, both in base64url. By the first the worker knows the
 * controller, by the second the controller knows that the worker was invited.
 */
export interface JoinToken {
  /** SHA-256 of the certificate in DER. */
  fingerprint: Buffer;
  secret: string;
}

export const joinTokenPattern = /^jr1\.[\w-]{43}\.[\w-]{32,64}$/;

export function formatJoinToken({ fingerprint, secret }: JoinToken): string {
  return `jr1.${fingerprint.toString('base64url')}.${secret}`;
}

/** @param text of the form of {@link joinTokenPattern}. */
export function parseJoinToken(text: string): JoinToken {
  const [, fingerprint = '', secret = ''] = text.split('.');
  return { fingerprint: Buffer.from(fingerprint, 'base64url'), secret };
}

export function digestOf(bytes: Buffer | string): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** Takes as long for every wrong one. */
export function isSameSecret(a: string, b: string): boolean {
  return timingSafeEqual(digestOf(a), digestOf(b));
}
