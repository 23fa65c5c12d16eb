import type { Request } from 'express';
import type { z } from 'zod';
import { AppError } from '../errors.js';
import { fieldsOf, problemsOf } from '../schema-problems.js';

/** Kind of a request's fields, as error messages call it. */
export type InputKind = 'field' | 'query field' | 'path' | 'header';

/**
 * Checks the request's body, which comes as JSON or as a form. Unknown fields are errors.
 * @throws AppError bad_request that names each wrong field
 */
export function readBody<S extends z.ZodType>(schema: S, req: Request): z.output<S> {
  return readInput(schema, req.body ?? {}, 'field');
}

/** Checks a part of the request. @throws AppError bad_request that names each wrong field */
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
