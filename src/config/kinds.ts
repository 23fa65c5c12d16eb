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
