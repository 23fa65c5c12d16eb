import { z } from 'zod';
import type { Api } from '../../http/api.js';
import { endpoint } from '../../http/endpoint.js';
import { json } from '../../http/reply.js';
import { healthReplySchema } from '../../cluster/health-reply.js';
import type { HealthCheck } from './health.js';

/** Mounts `GET /health`. */
export function healthRoutes(api: Api, health: HealthCheck): void {
  endpoint(
    api,
    {
      method: 'get',
      path: '/health',
      role: 'public',
      summary: 'Check whether jobs can run, with one word for each part',
      query: z.looseObject({}),
      reply: json(healthReplySchema, { 200: 'Jobs can run.', 503: 'Jobs cannot run.' }),
      errors: [],
    },
    async ({ res }) => {
      const found = await health.check();
      res.status(found.status === 'down' ? 503 : 200);
      return found;
    },
  );
}
