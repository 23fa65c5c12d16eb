import { Router, type Request, type Response } from 'express';
import type { z } from 'zod';
import type { ErrorCode } from '../errors.js';
import type { Reply } from './reply.js';
import type { RequestBody } from './request-body.js';

export type Method = 'get' | 'post' | 'put' | 'delete';

/**
 * Callers that an endpoint admits. `public`: anyone. `reader`: any valid token. `user`: any token
 * but a reader's. `admin`: an admin's token. `worker`: a worker node's token. `form`: the handler
 * checks, since the token may be a form field.
 */
export type Role = 'public' | 'reader' | 'user' | 'admin' | 'worker' | 'form';

/** Lets a request through or throws. @throws AppError unauthorized, forbidden, too_many_attempts */
export type Guard = (req: Request, res: Response) => void | Promise<void>;

/** The description of an endpoint; see `endpoint` for its handler. */
export interface Endpoint {
  method: Method;
  /** Each parameter stands in braces: `/jobs/{id}`. */
  path: string;
  role: Role;
  /** One line, for the list of calls. */
  summary: string;
  params?: z.ZodType;
  /** Without a schema, a query is an error. */
  query?: z.ZodType;
  headers?: z.ZodObject;
  body?: RequestBody<unknown>;
  reply: Reply<never>;
  /** Errors beyond those that follow from the role and the schemas. */
  errors: readonly ErrorCode[];
  /** Repeats an error's message as `detail`, where callers of FastAPI look for it. */
  withDetail?: boolean;
}

/** The endpoints of a service and the guards of their roles. */
export class Api {
  readonly router = Router();
  readonly endpoints: Endpoint[] = [];

  constructor(readonly guards: Readonly<Partial<Record<Role, Guard>>>) {}
}
