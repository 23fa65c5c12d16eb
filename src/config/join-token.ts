import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * The token of a joining worker: `jr1.<SHA-256 of the join port's certificate>.<secret>`, both in
 * base64url. The digest proves the controller to the worker; the secret proves to the controller
 * that the worker was invited.
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

/** Parses a join token. @param text must match {@link joinTokenPattern} */
export function parseJoinToken(text: string): JoinToken {
  const [, fingerprint = '', secret = ''] = text.split('.');
  return { fingerprint: Buffer.from(fingerprint, 'base64url'), secret };
}

export function digestOf(bytes: Buffer | string): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** Compares in the same time for every wrong secret. */
export function isSameSecret(a: string, b: string): boolean {
  return timingSafeEqual(digestOf(a), digestOf(b));
}
