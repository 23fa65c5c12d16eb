import { expect } from '@jest/globals';
import type { AppError, ErrorCode } from '../src/errors.js';

/**
 * Matches an AppError, or the `error` of a reply, with this code that names these fields and no
 * others. Stands where a matcher takes an error: `toThrow`, `toEqual`, `toMatchObject`.
 */
export function refusal(code: ErrorCode, ...fields: string[]): AppError {
  const details = fields.length > 0 && { details: expect.objectContaining({ fields }) };
  return expect.objectContaining({ code, ...details }) as unknown as AppError;
}
