import { z } from 'zod';
import { AppError, fieldError } from '../errors.js';
import type { Api } from '../http/api.js';
import { endpoint } from '../http/endpoint.js';
import { json } from '../http/reply.js';
import { jsonBody } from '../http/request-body.js';
import { nameSubject } from './audit.js';
import { callerOf, OWNER, userSchema } from './caller.js';
import {
  deletedUserReplySchema,
  ownUserReplySchema,
  userReplySchema,
  usersReplySchema,
} from './replies.js';
import type { Tokens } from './tokens.js';
import type { Limits } from './user-limits.js';

const count = z.int().min(0).max(1_000_000).nullable().optional();
const limitsBody = z.strictObject({
  max_jobs: count,
  max_running: count,
  max_gpus: z.number().min(0).max(100_000).nullable().optional(),
  max_stored_bytes: z.int().min(0).nullable().optional(),
});
const userParams = z.object({ user: userSchema });

interface UserParts {
  limits: Limits;
  tokens: Tokens;
  /** Is called after a user's limits changed. */
  changed: (user: string) => Promise<void>;
}

/** Mounts `/users`: the limits and usage of each user. */
export function userRoutes(api: Api, { limits, tokens, changed }: UserParts): void {
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

  endpoint(
    api,
    {
      method: 'delete',
      path: '/users/{user}',
      role: 'admin',
      summary: 'Delete a user’s tokens and limits; ended jobs and their outputs stay',
      params: userParams,
      reply: json(deletedUserReplySchema, { 200: 'Deleted.' }),
      errors: ['not_found', 'conflict'],
    },
    ({ params: { user }, res }) => {
      if (user === OWNER) throw fieldError('conflict', 'user', 'the owner cannot be deleted');
      const found = limits.list().find((one) => one.user === user);
      if (found === undefined)
        throw new AppError('not_found', `there is no user ${user}; see "jobrunner user list"`, {
          details: { fields: ['user'] },
        });
      if (found.jobs > 0)
        throw fieldError(
          'conflict',
          'user',
          `${user} has ${found.jobs} queued or running jobs; cancel them first`,
          { details: { jobs: found.jobs } },
        );
      nameSubject(res, `user ${user}`);
      const deleted = tokens.deleteOf(user);
      limits.deleteOf(user);
      return { deleted: true as const, user, tokens: deleted };
    },
  );
}
