import express, { type Express, type RequestHandler, type Router } from 'express';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { pinoHttp } from 'pino-http';
import { requireToken, type Authenticator } from '../auth/authenticator.js';
import { adminsOnly, readersOnlyRead } from '../auth/caller.js';
import { AppError } from '../errors.js';
import { errorReply } from '../http/error-reply.js';

export interface HttpParts {
  log: Logger;
  /** How many proxies stand in front; the address of who asks is taken from the last one of them. */
  trustedProxies: number;
  authenticator: Authenticator;
  audit: RequestHandler;
  health: Router;
  queueApi: Router;
  /** Undefined where no worker may join. */
  workers: Router | undefined;
  imports: Router;
  datasets: Router;
  commands: Router;
  jobs: Router;
  screens: Router;
  outputs: Router;
  gpus: Router;
  nodes: Router;
  ingest: Router[];
  metrics: Router;
  tokens: Router;
  users: Router;
  auditLog: Router;
}

/** Every mount, in order: what stands above `requireToken` sees to it itself, or is open to all. */
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

  app.use('/health', parts.health);
  // Workers have tokens of their own.
  if (parts.workers) app.use('/workers', parts.workers);
  app.use(parts.audit);
  // Asks for the token by itself, which its submissions carry in their form.
  app.use(parts.queueApi);
  app.use(requireToken(parts.authenticator));
  app.use(readersOnlyRead);
  // A script holds its job's variables, a log whatever the job printed: no browser's disk is to keep them.
  app.use((_req, res, next) => {
    res.set('Cache-Control', 'no-store');
    next();
  });
  app.use('/datasets', parts.imports, parts.datasets);
  app.use('/commands', parts.commands);
  app.use('/jobs', parts.jobs);
  app.use('/screens', parts.screens);
  app.use('/outputs', parts.outputs);
  app.use('/gpus', parts.gpus);
  app.use(parts.nodes);
  app.use('/ingest', adminsOnly, ...parts.ingest);
  app.use('/metrics', parts.metrics);
  app.use('/tokens', parts.tokens);
  app.use('/users', parts.users);
  app.use('/audit', parts.auditLog);

  app.use((req) => {
    throw new AppError('not_found', `${req.method} ${req.path}: no such endpoint; see docs/api.md`);
  });
  app.use(errorReply());
  return app;
}
