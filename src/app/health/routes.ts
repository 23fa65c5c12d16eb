import { Router } from 'express';
import type { HealthCheck } from './health.js';

/** `GET /health`, open to all: 503 when jobs cannot run. */
export function healthRoutes(health: HealthCheck): Router {
  const router = Router();
  router.get('/', async (_req, res) => {
    const found = await health.check();
    res.status(found.status === 'down' ? 503 : 200).json(found);
  });
  return router;
}
