import { z } from 'zod';
import { absolutePath, wholeNumber } from '../kinds.js';

/** Jobs in the manifests of GitLab projects. */
export const gitlabVariables = {
  JR_GITLAB_URL: z
    .url({ protocol: /^https?$/, error: 'expected an http(s) URL' })
    .optional()
    .meta({
      shown: 'none',
      description: 'GitLab whose projects are scanned for `gpu_jobs/manifest.yaml`',
    }),
  JR_GITLAB_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{1,1024}$/, 'expected printable characters without spaces')
    .optional()
    .meta({ shown: 'none', description: 'GitLab access token with the scope `api`' }),
  JR_GITLAB_INTERVAL: wholeNumber(1, 86_400)
    .default(60)
    .meta({ description: 'Seconds between two scans of the GitLab projects' }),
  JR_GITLAB_PROJECTS: z
    .string()
    .regex(/^[^\s,]+(?:,[^\s,]+)*$/, 'expected paths separated by commas, such as team/*,a/b')
    .transform((list) => list.split(','))
    .optional()
    .meta({
      shown: 'all that the token’s user may write to',
      description:
        'Projects that are scanned, such as `team/*,other/project`; `**` crosses slashes',
    }),
  JR_GITLAB_MAX_RETRIES: wholeNumber(0, 100)
    .default(10)
    .meta({ description: 'Number of retries of a request to GitLab' }),
  JR_GITLAB_MAX_JOBS: wholeNumber(1, 100_000).optional().meta({
    shown: 'the number of GPUs',
    description: 'Most GitLab jobs that this server has claimed and not finished',
  }),
  JR_GITLAB_JOB_TYPES: absolutePath.optional().meta({
    shown: '`JR_ROOT/gitlab_job_types.yaml`',
    description: 'File that maps each `job_type` to a command key',
  }),
};
