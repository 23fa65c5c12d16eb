import { Router, type Request } from 'express';
import { z } from 'zod';
import { callerOf } from '../auth/caller.js';
import { readParams } from '../http/read-input.js';
import type { WaysIn } from './ways-in.js';
import { viewRoute } from './route-status.js';

const routeParams = z.object({ route: z.string() });

/** `/ingest`, for admins: how each way in stands, pausing and resuming. */
export function ingestRoutes(ingest: WaysIn): Router {
  const router = Router();
  const find = (req: Request) => ingest.get(readParams(routeParams, req).route);

  router.get('/', (_req, res) => {
    res.json({ routes: ingest.list().map(viewRoute) });
  });

  router.post('/:route/pause', (req, res) => {
    const way = find(req);
    way.pause(callerOf(res).user);
    res.json(viewRoute(way.status()));
  });

  router.post('/:route/resume', (req, res) => {
    const way = find(req);
    way.resume();
    res.json(viewRoute(way.status()));
  });

  return router;
}
