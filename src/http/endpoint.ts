import type { Request, RequestHandler, Response } from 'express';
import { z } from 'zod';
import type { Api, Endpoint } from './api.js';
import { checkReply, checksReplies, declareErrors } from './contract.js';
import { withDetail } from './error-reply.js';
import { readInput } from './read-input.js';
import type { Reply } from './reply.js';
import { noFields, type RequestBody } from './request-body.js';

type Nothing = Record<never, never>;

interface Spec<P, Q, H, B, R> extends Endpoint {
  params?: z.ZodType<P>;
  query?: z.ZodType<Q>;
  headers?: z.ZodObject & z.ZodType<H>;
  body?: RequestBody<B>;
  reply: Reply<R>;
}

/** A request whose parts have been checked. */
export interface Call<P, Q, H, B> {
  params: P;
  query: Q;
  headers: H;
  body: B;
  req: Request;
  res: Response;
}

const nothing = z.strictObject({});

/**
 * Mounts an endpoint: checks the caller and the request, and sends the result of the handler.
 * @throws Error when the role has no guard
 */
export function endpoint<P = Nothing, Q = Nothing, H = Nothing, B = undefined, R = void>(
  api: Api,
  spec: Spec<P, Q, H, B, R>,
  handler: (call: Call<P, Q, H, B>) => NoInfer<R> | Promise<NoInfer<R>>,
): void {
  const { method, path, role, params = nothing, query = nothing, headers, reply } = spec;
  const body: RequestBody<unknown> | undefined =
    spec.body ?? (method === 'get' ? undefined : noFields);
  const guard = api.guards[role];
  if (guard === undefined) throw new Error(`${method} ${path}: no guard for the role ${role}`);

  const begin: RequestHandler = async (req, res, next) => {
    if (spec.withDetail) withDetail(res);
    if (checksReplies) declareErrors(res, spec);
    await guard(req, res);
    next();
  };
  const handle: RequestHandler = async (req, res) => {
    const call = {
      params: readInput(params, req.params, 'path'),
      query: readInput(query, req.query, 'query field'),
      headers: headers && readInput(headers, headersOf(req, headers), 'header'),
      body: body?.read(req),
    };
    const answer = await handler({ ...call, req, res } as Call<P, Q, H, B>);
    if (checksReplies) checkReply(spec, res, answer);
    reply.send(res, answer);
  };
  api.endpoints.push(spec);
  const route = path.replaceAll(/\{(\w+)\}/g, ':$1');
  api.router[method](route, begin, ...(body?.parsers ?? []), handle);
}

function headersOf(req: Request, schema: z.ZodObject): Record<string, string | undefined> {
  return Object.fromEntries(Object.keys(schema.shape).map((name) => [name, req.get(name)]));
}
