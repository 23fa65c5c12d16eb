import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { pinoHttp } from 'pino-http';
import { AppError } from '../errors.js';
import type { Api, Guard } from '../http/api.js';
import { errorReply } from '../http/error-reply.js';

export interface HttpParts {
  log: Logger;
  /** How many proxies stand in front; the address of the caller comes from the last of them. */
  trustedProxies: number;
  audit: RequestHandler;
  api: Api;
  /** Undefined where no worker may join. */
  workerApi: Api | undefined;
  /** Guards the paths that no endpoint has. */
  guard: Guard;
}

/** All that requests go through, in order. */
export function createHttpApp(parts: HttpParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('query parser', 'simple');
  app.set('trust proxy', parts.trustedProxies);
  app.use(
    pinoHttp({
      logger: parts.log,
      // Only what is safe to keep: no header, no query, no body.
      serializers: {
        req: (req: { method: string; url: string }) => ({
          method: req.method,
          path: req.url.split('?')[0],
        }),
        res: (res: { statusCode: number }) => ({ status: res.statusCode }),
      },
      // What fails is logged with its cause where it becomes a reply.
      customLogLevel: () => 'debug',
    }),
  );
  app.use(helmet());
  // A script holds its job's variables, a log whatever the job printed: no browser's disk is to keep them.
  app.use((_req, res, next) => {
    res.set('Cache-Control', 'no-store');
    next();
  });
  // Above the audit log: workers call all the time, and are no users.
  if (parts.workerApi) app.use(parts.workerApi.router);
  app.use(parts.audit);
  app.use(parts.api.router);

  app.use(async (req, res) => {
    // Strangers learn nothing of which paths there are.
    await parts.guard(req, res);
    if (req.path.split('/').includes('..'))
      throw new AppError('bad_request', 'the path: holds "..", which names nothing here');
    throw new AppError('not_found', `${req.method} ${req.path}: no such endpoint; see docs/api.md`);
  });
  app.use(errorReply());
  return app;
}
