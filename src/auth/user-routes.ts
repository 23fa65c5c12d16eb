import express, { Router } from 'express';
import { z } from 'zod';
import { readBody, readParams } from '../http/read-input.js';
import { nameSubject } from './audit.js';
import { adminsOnly, callerOf, userSchema } from './caller.js';
import type { Limits } from './user-limits.js';

const count = z.int().min(0).max(1_000_000).nullable().optional();
const limitsBody = z.strictObject({
  max_jobs: count,
  max_running: count,
  max_gpus: z.number().min(0).max(100_000).nullable().optional(),
  max_stored_bytes: z.int().min(0).nullable().optional(),
});
const userParams = z.object({ user: userSchema });

/**
 * `/users`: what each may have, and has.
 * @param changed tells of a user's new limits. @throws AppError
 */
export function userRoutes(limits: Limits, changed: (user: string) => Promise<void>): Router {
  const router = Router();

  router.get('/me', (_req, res) => {
    const { user, role } = callerOf(res);
    res.json({ role, ...limits.view(user) });
  });

  router.get('/', adminsOnly, (_req, res) => {
    res.json({ users: limits.list() });
  });

  router.put('/:user/limits', adminsOnly, express.json({ limit: '64kb' }), async (req, res) => {
    const { user } = readParams(userParams, req);
    limits.set(user, readBody(limitsBody, req));
    nameSubject(res, `limits of ${user}`);
    await changed(user);
    res.json(limits.view(user));
  });
  return router;
}
