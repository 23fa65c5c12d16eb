import { Router } from 'express';
import { callerOf, scopeOf } from '../auth/caller.js';
import type { Database } from '../db/database.js';
import { liveScreens } from './screens.js';

/** `GET /screens`: the sessions that `jobrunner attach` can be used on. */
export function screenRoutes(db: Database): Router {
  const router = Router();
  router.get('/', (_req, res) => {
    res.json({ screens: liveScreens(db, scopeOf(callerOf(res))) });
  });
  return router;
}
