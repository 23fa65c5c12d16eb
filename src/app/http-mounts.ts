import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { pinoHttp } from 'pino-http';
import { AppError } from '../errors.js';
import type { Api, Guard } from '../http/api.js';
import { errorReply } from '../http/error-reply.js';

export interface HttpParts {
  log: Logger;
  /** Addresses and networks of proxies that give the caller's address. */
  trustedProxies: readonly string[];
  /** Refuses requests with a forged address or from foreign pages, before anything counts them. */
  gates: readonly RequestHandler[];
  audit: RequestHandler;
  api: Api;
  /** API of workers; undefined if no worker may join. */
  workerApi: Api | undefined;
  /** Guard of the paths without an endpoint. */
  guard: Guard;
}

/** Builds the chain that handles every request, in order. */
export function createHttpApp(parts: HttpParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('query parser', 'simple');
  app.set('trust proxy', [...parts.trustedProxies]);
  app.use(
    pinoHttp({
      logger: parts.log,
      // Logs only safe fields: no header, query or body.
      serializers: {
        req: (req: { method: string; url: string }) => ({
          method: req.method,
          path: req.url.split('?')[0],
        }),
        res: (res: { statusCode: number }) => ({ status: res.statusCode }),
      },
      // The error reply logs failures with their cause.
      customLogLevel: () => 'debug',
    }),
  );
  app.use(helmet());
  // Scripts contain variables of jobs, and logs anything that jobs print: browsers must not store
  // them.
  app.use((_req, res, next) => {
    res.set('Cache-Control', 'no-store');
    next();
  });
  for (const gate of parts.gates) app.use(gate);
  // Before the audit log: workers call all the time, and are not users.
  if (parts.workerApi) app.use(parts.workerApi.router);
  app.use(parts.audit);
  app.use(parts.api.router);

  app.use(async (req, res) => {
    // Callers without a token must not learn which paths exist.
    await parts.guard(req, res);
    if (req.path.split('/').includes('..'))
      throw new AppError('bad_request', 'the path: ".." is not allowed');
    throw new AppError('not_found', `${req.method} ${req.path}: no such endpoint; see docs/api.md`);
  });
  app.use(errorReply());
  return app;
}
