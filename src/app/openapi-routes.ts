import { z } from 'zod';
import { packageVersion } from '../config/package-version.js';
import type { Api, Endpoint } from '../http/api.js';
import { endpoint } from '../http/endpoint.js';
import { describeApi } from '../http/openapi.js';
import { json } from '../http/reply.js';

const documentReplySchema = z.looseObject({ openapi: z.string(), paths: z.looseObject({}) });

/** Mounts `GET /openapi.json`, which describes the endpoints of `api` and `others`. */
export function openapiRoutes(api: Api, others: readonly Endpoint[]): void {
  const info = {
    title: 'JobRunner',
    version: packageVersion(),
    description: 'Runs jobs over Slurm. See docs/api.md for the meaning of fields.',
  };
  let document: z.infer<typeof documentReplySchema> | undefined;
  endpoint(
    api,
    {
      method: 'get',
      path: '/openapi.json',
      role: 'public',
      summary: 'Describe the API in OpenAPI 3.1',
      reply: json(documentReplySchema),
      errors: [],
    },
    () => (document ??= describeApi([...api.endpoints, ...others], info)),
  );
}
