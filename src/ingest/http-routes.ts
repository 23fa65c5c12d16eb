import { z } from 'zod';
import { callerOf } from '../auth/caller.js';
import type { Api } from '../http/api.js';
import { endpoint } from '../http/endpoint.js';
import { json } from '../http/reply.js';
import { sourceReplySchema, sourcesReplySchema } from './replies.js';
import { viewSource } from './source-status.js';
import type { RunningSources } from './running-sources.js';

const params = z.object({ source: z.string() });
const reply = json(sourceReplySchema);

/** Mounts `/ingest`, for admins, and the endpoints of single sources. */
export function ingestRoutes(api: Api, ingest: RunningSources): void {
  for (const source of ingest.all) source.mount?.(api);

  endpoint(
    api,
    {
      method: 'get',
      path: '/ingest',
      role: 'admin',
      summary: 'Show the status of each ingest source',
      reply: json(sourcesReplySchema),
      errors: [],
    },
    () => ({ sources: ingest.list().map(viewSource) }),
  );

  endpoint(
    api,
    {
      method: 'post',
      path: '/ingest/{source}/pause',
      role: 'admin',
      summary: 'Pause a source; jobs already taken continue',
      params,
      reply,
      errors: ['not_found'],
    },
    ({ params: { source: name }, res }) => {
      const source = ingest.get(name);
      source.pause(callerOf(res).user);
      return viewSource(source.status());
    },
  );

  endpoint(
    api,
    {
      method: 'post',
      path: '/ingest/{source}/resume',
      role: 'admin',
      summary: 'Resume a source',
      params,
      reply,
      errors: ['not_found'],
    },
    ({ params: { source: name } }) => {
      const source = ingest.get(name);
      source.resume();
      return viewSource(source.status());
    },
  );
}
