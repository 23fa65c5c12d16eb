import { callerOf, scopeOf } from '../auth/caller.js';
import type { Api } from '../http/api.js';
import { endpoint } from '../http/endpoint.js';
import { json } from '../http/reply.js';
import type { LiveJobs } from './live-jobs.js';
import { screensReplySchema } from './replies.js';
import { liveScreens } from './screens.js';

/** Mounts `GET /screens`. */
export function screenRoutes(api: Api, liveJobs: LiveJobs): void {
  endpoint(
    api,
    {
      method: 'get',
      path: '/screens',
      role: 'reader',
      summary: 'List the screen sessions for `jobrunner attach`',
      reply: json(screensReplySchema),
      errors: [],
    },
    ({ res }) => ({ screens: liveScreens(liveJobs.all(), scopeOf(callerOf(res))) }),
  );
}
