import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../config/package-root.js';
import type { Api, Endpoint } from '../http/api.js';
import { endpoint } from '../http/endpoint.js';
import { describeApi } from '../http/openapi.js';
import { json } from '../http/reply.js';

const packageSchema = z.object({ version: z.string() });

const documentReplySchema = z.looseObject({ openapi: z.string(), paths: z.looseObject({}) });

/** Mounts `GET /openapi.json`, which describes the endpoints of `api` and `others`. */
export function openapiRoutes(api: Api, others: readonly Endpoint[]): void {
  const { version } = packageSchema.parse(
    JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')),
  );
  const info = {
    title: 'JobRunner',
    version,
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
