import { AppError } from '../../errors.js';
import { submitSchema, type SubmitFields } from '../../jobs/request.js';
import { jobName } from '../job-name.js';
import type { GitLabItem } from './item.js';
import type { JobTypes } from './job-types.js';
import { problemsOf } from '../../schema-problems.js';

/** What says whether to run it, not how. */
const notParams = ['job_id', 'canceled'];

/**
 * Why a manifest's job cannot be run here; undefined when its type is mapped.
 * @param types as JR_GITLAB_JOB_TYPES has them
 */
export function whyUnmapped(fields: Record<string, unknown>, types: JobTypes): string | undefined {
  const { job_type: type } = fields;
  if (typeof type !== 'string' || type === '') return 'job_type: expected a text';
  if (types[type]) return undefined;
  return `job_type: ${JSON.stringify(type.slice(0, 60))} has no command key here; the file of JR_GITLAB_JOB_TYPES maps types`;
}

/**
 * What a manifest's job is submitted as. It chooses parameters and a timeout, and nothing else: what runs, and on how much, says the
 * mapping.
 * @throws AppError bad_request naming each field that cannot be used; any other Error when its type is mapped no more, as while the
 *   file is replaced.
 */
export function submitFieldsOf(item: GitLabItem, types: JobTypes): SubmitFields {
  const why = whyUnmapped(item.fields, types);
  if (why !== undefined) throw new Error(why);
  const { job_type: type, timeout } = item.fields;
  const mapped = types[type as string];
  const params = Object.fromEntries(
    Object.entries(item.fields).filter(([name]) => !notParams.includes(name)),
  );
  const parsed = submitSchema.safeParse({
    ...mapped,
    name: jobName(`${item.projectPath}/${item.jobId}`),
    params: { ...params, ...mapped?.params },
    ...(timeout !== undefined && timeout !== null && { timeout }),
    env: {
      ...mapped?.env,
      GITLAB_PROJECT_ID: String(item.projectId),
      GITLAB_PROJECT_PATH: item.projectPath,
      GITLAB_COMMIT_SHA: item.commit,
      GITLAB_JOB_ID: item.jobId,
    },
  });
  if (parsed.success) return parsed.data;
  throw new AppError('bad_request', problemsOf(parsed.error));
}
