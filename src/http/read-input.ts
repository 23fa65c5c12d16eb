import type { Request } from 'express';
import type { z } from 'zod';
import { AppError } from '../errors.js';
import { fieldsOf, problemsOf } from '../schema-problems.js';

/** Where the fields of a request stand, as an error about an unknown one calls it. */
export type InputKind = 'field' | 'query field' | 'path' | 'header';

/**
 * Checks the request's body. Fields come from JSON or from a form; an unknown field is an error.
 * @throws AppError bad_request naming each field.
 */
export function readBody<S extends z.ZodType>(schema: S, req: Request): z.output<S> {
  return readInput(schema, req.body ?? {}, 'field');
}

/** @throws AppError bad_request naming each field. */
export function readInput<S extends z.ZodType>(
  schema: S,
  value: unknown,
  kind: InputKind,
): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const details = { fields: fieldsOf(parsed.error) };
  throw new AppError('bad_request', problemsOf(parsed.error, kind), { details });
}
