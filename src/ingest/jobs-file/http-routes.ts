import type { Api } from '../../http/api.js';
import { endpoint } from '../../http/endpoint.js';
import { json } from '../../http/reply.js';
import { jobsFileReplySchema } from '../replies.js';
import type { JobsFile } from './jobs-file.js';

/** Mounts `/ingest/jobs-file`, for admins: the status of its lines. */
export function jobsFileRoutes(api: Api, jobsFile: JobsFile): void {
  endpoint(
    api,
    {
      method: 'get',
      path: '/ingest/jobs-file',
      role: 'admin',
      summary: 'Show the status of the jobs file’s lines',
      reply: json(jobsFileReplySchema),
      errors: [],
    },
    () => jobsFile.status(),
  );
}
