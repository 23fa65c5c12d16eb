import { z } from 'zod';
import type { ErrorCode } from '../errors.js';
import { statusOf } from './error-status.js';

const codes = [...(Object.keys(statusOf) as ErrorCode[]), 'internal'] as const;

const error = z.strictObject({
  code: z.enum(codes),
  /** For people: says how to correct the call. */
  message: z.string(),
  /** For programs: such as the fields, the limit or the digest. */
  details: z.record(z.string(), z.unknown()).optional(),
});

/** The body of every error reply. */
export const errorBody = z.strictObject({ error }).meta({ id: 'Error' });
export type ErrorBody = z.infer<typeof errorBody>;

/** The same, with the message as `detail` too, where callers of FastAPI look for it. */
export const errorBodyWithDetail = z
  .strictObject({ error, detail: z.string() })
  .meta({ id: 'ErrorWithDetail' });
