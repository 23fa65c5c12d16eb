import type { Request } from 'express';
import type { z } from 'zod';
import { AppError } from '../errors.js';
import { fieldsOf, parseKnown, problemsOf } from '../schema-problems.js';

/** Kind of a request's fields, as error messages call it. */
export type InputKind = 'field' | 'query field' | 'path' | 'header';

/** The names of the parts of a request, for errors that name no single field. */
const parts: Record<InputKind, string> = {
  field: 'body',
  'query field': 'query',
  path: 'path',
  header: 'headers',
};

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
  const parsed = parseKnown(schema, value, kind);
  if (parsed.success) return parsed.data;
  const details = { fields: fieldsOf(parsed.error, parts[kind]) };
  throw new AppError('bad_request', problemsOf(parsed.error), { details });
}
