import type { Request } from 'express';
import type { z } from 'zod';
import { AppError } from '../errors.js';
import { fieldsOf, problemsOf } from '../schema-problems.js';

/**
 * The request's body, checked. Fields come from JSON or from a form; an unknown field is an error.
 * @throws AppError bad_request naming each field.
 */
export function readBody<S extends z.ZodType>(schema: S, req: Request): z.infer<S> {
  return read(schema, req.body ?? {}, 'field');
}

/** The query string, checked as {@link readBody} checks a body. */
export function readQuery<S extends z.ZodType>(schema: S, req: Request): z.infer<S> {
  return read(schema, req.query, 'query field');
}

/** The path's parameters, checked. */
export function readParams<S extends z.ZodType>(schema: S, req: Request): z.infer<S> {
  return read(schema, req.params, 'path');
}

function read<S extends z.ZodType>(schema: S, value: unknown, kind: string): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const details = { fields: fieldsOf(parsed.error) };
  throw new AppError('bad_request', problemsOf(parsed.error, kind), { details });
}
