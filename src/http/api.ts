import { Router, type Request, type Response } from 'express';
import type { z } from 'zod';
import type { ErrorCode } from '../errors.js';
import type { Reply } from './reply.js';
import type { RequestBody } from './request-body.js';

export type Method = 'get' | 'post' | 'put' | 'delete';

/**
 * Who may call. `public`: anyone. `reader`: any valid token. `user`: any but a reader's. `admin`: an admin's.
 * `worker`: that of a worker node. `form`: the handler itself asks, since the token may stand in the form.
 */
export type Role = 'public' | 'reader' | 'user' | 'admin' | 'worker' | 'form';

/** Lets a request through, or throws. @throws AppError unauthorized, forbidden, too_many_attempts */
export type Guard = (req: Request, res: Response) => void | Promise<void>;

/** An endpoint as it is described; see `endpoint` for its handler. */
export interface Endpoint {
  method: Method;
  /** With each parameter in braces: `/jobs/{id}`. */
  path: string;
  role: Role;
  /** One line, for the list of calls. */
  summary: string;
  params?: z.ZodType;
  /** Without one, a query is an error. */
  query?: z.ZodType;
  headers?: z.ZodObject;
  body?: RequestBody<unknown>;
  reply: Reply<never>;
  /** Reasons to fail beyond those that follow from the role and the schemas. */
  errors: readonly ErrorCode[];
  /** Repeats an error's message as `detail`, where callers of FastAPI look for it. */
  withDetail?: boolean;
}

/** The endpoints of a service, and who guards them. */
export class Api {
  readonly router = Router();
  readonly endpoints: Endpoint[] = [];

  constructor(readonly guards: Readonly<Partial<Record<Role, Guard>>>) {}
}
