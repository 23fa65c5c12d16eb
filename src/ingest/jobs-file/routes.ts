import { Router } from 'express';
import type { JobsFile } from './jobs-file.js';

/** `/ingest/jobs-file`: what became of its lines. */
export function jobsFileRoutes(jobsFile: JobsFile): Router {
  const router = Router();
  router.get('/jobs-file', (_req, res) => {
    res.json(jobsFile.status());
  });
  return router;
}
