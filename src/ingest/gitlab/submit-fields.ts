import { AppError } from '../../errors.js';
import { submitSchema, type SubmitFields } from '../../jobs/request.js';
import { jobName } from '../job-name.js';
import type { GitLabItem } from './item.js';
import type { JobTypes } from './job-types.js';
import { fieldsOf, parseKnown, problemsOf } from '../../schema-problems.js';

/** Fields that decide whether the job runs, not how. */
const notParams = ['job_id', 'canceled'];

/**
 * Explains why a manifest’s job has no command here; undefined when its type is mapped.
 * @param types the mapping of JR_GITLAB_JOB_TYPES
 */
export function whyUnmapped(fields: Record<string, unknown>, types: JobTypes): string | undefined {
  const { job_type: type } = fields;
  if (typeof type !== 'string' || type === '') return 'job_type: expected a text';
  if (types[type]) return undefined;
  return `job_type: ${JSON.stringify(type.slice(0, 60))} has no command key here; the file of JR_GITLAB_JOB_TYPES maps types`;
}

/**
 * Makes the request of a manifest’s job. The job chooses only its parameters and a timeout; the
 * mapping decides the command and the resources.
 * @throws AppError bad_request naming each invalid field; another Error when the type is no longer
 *   mapped, as while the file is being replaced
 */
export function submitFieldsOf(item: GitLabItem, types: JobTypes): SubmitFields {
  const why = whyUnmapped(item.fields, types);
  if (why !== undefined) throw new Error(why);
  const { job_type: type, timeout } = item.fields;
  const mapped = types[type as string];
  const params = Object.fromEntries(
    Object.entries(item.fields).filter(([name]) => !notParams.includes(name)),
  );
  const parsed = parseKnown(submitSchema, {
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
  const details = { fields: fieldsOf(parsed.error, 'job') };
  throw new AppError('bad_request', problemsOf(parsed.error), { details });
}
