import { z } from 'zod';
import type { Api } from '../http/api.js';
import { endpoint } from '../http/endpoint.js';
import { json } from '../http/reply.js';
import { jsonBody } from '../http/request-body.js';
import { nameSubject } from './audit.js';
import { callerOf, userSchema } from './caller.js';
import { ownUserReplySchema, userReplySchema, usersReplySchema } from './replies.js';
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
 * Mounts `/users`: the limits and usage of each user.
 * @param changed called after a user's limits changed
 */
export function userRoutes(
  api: Api,
  limits: Limits,
  changed: (user: string) => Promise<void>,
): void {
  endpoint(
    api,
    {
      method: 'get',
      path: '/users/me',
      role: 'reader',
      summary: 'Show the token’s user, their limits and their usage',
      reply: json(ownUserReplySchema),
      errors: [],
    },
    ({ res }) => {
      const { user, role } = callerOf(res);
      return { role, ...limits.view(user) };
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/users',
      role: 'admin',
      summary: 'List the users, their limits and their usage',
      reply: json(usersReplySchema),
      errors: [],
    },
    () => ({ users: limits.list() }),
  );

  endpoint(
    api,
    {
      method: 'put',
      path: '/users/{user}/limits',
      role: 'admin',
      summary: 'Change a user’s limits; null resets one to the default',
      params: userParams,
      body: jsonBody(limitsBody),
      reply: json(userReplySchema),
      errors: ['conflict', 'not_supported', 'slurm_unavailable'],
    },
    async ({ params: { user }, body, res }) => {
      limits.set(user, body);
      nameSubject(res, `limits of ${user}`);
      await changed(user);
      return limits.view(user);
    },
  );
}
