import express, { type Request, type RequestHandler } from 'express';
import { z } from 'zod';
import { AppError, fieldError } from '../errors.js';
import { formReader, refuseFile } from './form.js';
import { readBody } from './read-input.js';

/** A request's body: how to read it, and how to describe it. */
export interface RequestBody<T> {
  parsers: readonly RequestHandler[];
  read: (req: Request) => T;
  /** Schemas by content type. */
  content: Readonly<Record<string, z.ZodType>>;
  required: boolean;
}

const defaultBytes = 64 * 1024;

interface FieldsOptions {
  /** Limit for the whole body, and for each field of a form. */
  maxBytes?: number;
  /** File parts of a form, which the handler reads from the request itself. */
  files?: z.ZodRawShape;
  /** Reads multipart/form-data; required for a form with files. */
  form?: RequestHandler;
}

/** Refuses a body by its announced length: the parsers would first read it to its end. */
const refuseLonger =
  (maxBytes: number): RequestHandler =>
  (req, _res, next) => {
    const length = Number(req.get('content-length') ?? 0);
    if (length > maxBytes && req.is('multipart/form-data') === false)
      throw new AppError('too_large', 'the body is larger than allowed');
    next();
  };

/** Takes JSON, or form fields as `curl -d` and `curl -F` send them. */
export function fields<S extends z.ZodObject>(
  schema: S,
  { maxBytes = defaultBytes, files = {}, form }: FieldsOptions = {},
): RequestBody<z.output<S>> {
  const limits = {
    fields: Math.max(16, Object.keys(schema.shape).length + 1),
    fieldNameSize: 100,
    fieldSize: maxBytes,
  };
  return {
    parsers: [
      refuseLonger(maxBytes),
      express.json({ limit: maxBytes }),
      express.urlencoded({ extended: false, limit: maxBytes }),
      refuseFile(
        form ?? formReader({ limits }).none(),
        Object.keys(files),
        Object.keys(schema.shape),
      ),
      // Reads what is left: a body in another form would be ignored in silence.
      express.raw({ type: (req) => !(req as Request).is('multipart'), limit: maxBytes }),
    ],
    read: (req) => readBody(schema, readable(req)),
    content: {
      'application/json': schema,
      'application/x-www-form-urlencoded': schema,
      'multipart/form-data': z.strictObject({ ...schema.shape, ...files }),
    },
    required: !schema.safeParse({}).success,
  };
}

/**
 * Checks how the body was sent.
 * @throws AppError bad_request for one that is neither JSON nor a form, or is JSON sent as a form
 */
function readable(req: Request): Request {
  const body = req.body as unknown;
  if (Buffer.isBuffer(body)) {
    if (body.length > 0) throw wrongType(req, body.toString('latin1', 0, 1));
    req.body = undefined;
  } else if (req.is('application/x-www-form-urlencoded')) {
    const [first = ''] = Object.keys(body ?? {});
    if (isJson(first)) throw wrongType(req, first);
  }
  return req;
}

const isJson = (text: string) => /^\s*[{[]/.test(text);

function wrongType(req: Request, text: string): AppError {
  const sent = req.get('content-type');
  const how = sent === undefined ? 'without a Content-Type' : `as ${sent.slice(0, 64)}`;
  const remedy = isJson(text)
    ? 'it looks like JSON: send it with Content-Type: application/json (curl -H)'
    : 'send JSON with Content-Type: application/json, or a form (curl -F)';
  return fieldError('bad_request', 'Content-Type', `the body was sent ${how}; ${remedy}`);
}

/** Takes no field: one that is sent to an endpoint without a body would be ignored in silence. */
export const noFields = fields(z.strictObject({}));

/** Takes JSON only. */
export function jsonBody<S extends z.ZodType>(schema: S): RequestBody<z.output<S>> {
  return {
    parsers: [refuseLonger(defaultBytes), express.json({ limit: defaultBytes })],
    read: (req) => readBody(schema, req),
    content: { 'application/json': schema },
    required: !schema.safeParse({}).success,
  };
}

/** Takes bytes, which are kept in memory as a whole. */
export function bytes(maxBytes: number): RequestBody<Buffer> {
  return {
    parsers: [
      refuseLonger(maxBytes),
      express.raw({ type: 'application/octet-stream', limit: maxBytes }),
    ],
    read: (req) => {
      if (Buffer.isBuffer(req.body)) return req.body;
      throw new AppError('bad_request', 'the body: expected application/octet-stream');
    },
    content: { 'application/octet-stream': file('Bytes.') },
    required: true,
  };
}

/** Leaves the body to the handler, which reads it from the request as it arrives. */
export function streamed(content: Readonly<Record<string, z.ZodType>>): RequestBody<undefined> {
  return { parsers: [], read: () => undefined, content, required: true };
}

/** Describes a part or a body of bytes. */
export function file(description: string): z.ZodType {
  return z
    .unknown()
    .meta({ type: 'string', contentMediaType: 'application/octet-stream', description });
}
