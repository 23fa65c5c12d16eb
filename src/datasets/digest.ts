import { z } from 'zod';
import type { Brand } from '../brand.js';

/** A SHA-256 in 64 lower-case hexadecimal digits. */
export type Sha256 = Brand<string, 'Sha256'>;

export const sha256Schema = z
  .string()
  .regex(
    /^[0-9a-f]{64}$/,
    'expected a SHA-256: 64 digits 0-9a-f in lower case, as sha256sum prints',
  )
  .transform((text) => text as Sha256);
