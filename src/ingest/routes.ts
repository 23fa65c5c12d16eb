import { z } from 'zod';
import { callerOf } from '../auth/caller.js';
import type { Api } from '../http/api.js';
import { endpoint } from '../http/endpoint.js';
import { json } from '../http/reply.js';
import { routeReplySchema, routesReplySchema } from './replies.js';
import { viewRoute } from './route-status.js';
import type { WaysIn } from './ways-in.js';

const params = z.object({ route: z.string() });
const reply = json(routeReplySchema);

/** Mounts `/ingest`, for admins: how each source stands, pausing and resuming. */
export function ingestRoutes(api: Api, ingest: WaysIn): void {
  endpoint(
    api,
    {
      method: 'get',
      path: '/ingest',
      role: 'admin',
      summary: 'Show how each ingest source stands',
      reply: json(routesReplySchema),
      errors: [],
    },
    () => ({ routes: ingest.list().map(viewRoute) }),
  );

  endpoint(
    api,
    {
      method: 'post',
      path: '/ingest/{route}/pause',
      role: 'admin',
      summary: 'Take no more jobs from a source; what was taken goes on',
      params,
      reply,
      errors: ['not_found'],
    },
    ({ params: { route }, res }) => {
      const way = ingest.get(route);
      way.pause(callerOf(res).user);
      return viewRoute(way.status());
    },
  );

  endpoint(
    api,
    {
      method: 'post',
      path: '/ingest/{route}/resume',
      role: 'admin',
      summary: 'Take jobs from a source again',
      params,
      reply,
      errors: ['not_found'],
    },
    ({ params: { route } }) => {
      const way = ingest.get(route);
      way.resume();
      return viewRoute(way.status());
    },
  );
}
