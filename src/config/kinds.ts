import { isIP } from 'node:net';
import { z } from 'zod';
import { parseTimeLimit } from './time-limit.js';

const GB = 1024 ** 3;

export const flag = (fallback: '0' | '1') =>
  z
    .enum(['0', '1', 'true', 'false'], { error: 'expected 0 or 1' })
    .default(fallback)
    .transform((v) => v === '1' || v === 'true');

export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `expected a whole number from ${min} to ${max}`);

export const port = (fallback: number) => wholeNumber(1, 65535).default(fallback);

/**
 * Parses gigabytes (2^30), fractions allowed, to bytes. 0 leaves only the free disk as the limit.
 */
export const gigabytes = (fallback: number) =>
  z
    .string()
    .regex(/^\d+(\.\d+)?$/, 'expected a number of gigabytes such as 50 or 0.5; 0 means no limit')
    .default(String(fallback))
    .transform((v) => Math.floor(Number(v) * GB));

/** Parses a fraction above 0, at most 1. */
export const share = (fallback: number) =>
  z
    .string()
    .regex(/^(0?\.\d+|1(\.0+)?|0\.\d+)$/, 'expected a fraction from 0.01 to 1, such as 0.8')
    .default(String(fallback))
    .transform(Number)
    .refine((n) => n >= 0.01, 'expected a fraction from 0.01 to 1, such as 0.8');

export const absolutePath = z
  .string()
  .regex(/^\/[^\0\n'"\\ ]*$/, 'expected an absolute path without spaces or quotes')
  .transform((p) => (p.length > 1 ? p.replace(/\/+$/, '') : p));

export const timeLimit = z.string().refine((v) => {
  const limit = parseTimeLimit(v);
  return limit === 'UNLIMITED' || (limit !== undefined && limit > 0);
}, 'expected a Slurm time such as 7-00:00:00, 90 (minutes) or UNLIMITED');

/** Splits a list at its commas. */
const list = z.string().transform((text) =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== ''),
);

/** The networks that Express knows by a name (expressjs.com/en/guide/behind-proxies.html). */
const networkNames = ['loopback', 'linklocal', 'uniquelocal'];

function isNetwork(text: string): boolean {
  const [address = '', bits, more] = text.split('/');
  const kind = isIP(address);
  if (kind === 0 || more !== undefined) return networkNames.includes(text);
  const most = kind === 4 ? 32 : 128;
  return bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= most);
}

/** Parses addresses and networks of proxies. A count would let callers choose their address. */
export const proxies = list
  // Older settings count no proxy so.
  .transform((entries) => (entries.length === 1 && entries[0] === '0' ? [] : entries))
  .refine(
    (entries) => entries.every(isNetwork),
    'expected addresses or networks of the proxies, such as 127.0.0.1,10.0.0.0/8; a number would let every caller choose an address',
  );

/** Parses host names in lower case. */
export const hostNames = list
  .transform((entries) => entries.map((entry) => entry.toLowerCase()))
  .refine(
    (entries) => entries.every((entry) => /^(\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*)$/.test(entry)),
    'expected host names without ports, such as jobs.example.com,*.example.org',
  );
