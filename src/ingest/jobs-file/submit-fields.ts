import { basename } from 'node:path';
import { AppError } from '../../errors.js';
import { submitSchema, type SubmitFields } from '../../jobs/request.js';
import type { JobLine } from './job-line.js';

/** Names of columns that differ from the fields of `POST /jobs`. */
const columnOf: Record<string, string> = { args: 'arguments', params: 'script_path' };

/**
 * Makes the request of a line. It adds `--cuda` to the arguments, and a repeated line returns its
 * earlier job.
 * @param gpus GPUs that the job needs; undefined when the model in its arguments decides
 * @throws AppError bad_request naming each column that is invalid
 */
export function submitFieldsOf(
  line: JobLine,
  { gpus, screen }: { gpus: number | undefined; screen: boolean },
): SubmitFields {
  const parsed = submitSchema.safeParse({
    command_key: 'script',
    params: { path: line.script },
    name: nameOf(line.script),
    args: line.args,
    conda_env: line.condaEnv,
    priority: line.priority,
    allowed_gpus: line.allowedGpus,
    cuda: 'add',
    dedup: true,
    screen,
    gpus,
  });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => {
    const field = String(issue.path[0]);
    return { column: columnOf[field] ?? field, text: issue.message };
  });
  const fields = [...new Set(problems.map(({ column }) => column))];
  const texts = new Set(problems.map(({ column, text }) => `${column}: ${text}`));
  throw new AppError('bad_request', [...texts].join('; '), { details: { fields } });
}

/** Makes a job name of the file’s name. */
function nameOf(path: string): string | undefined {
  const name = basename(path)
    .replace(/[\p{Cc}\p{Cs}\u2028\u2029]/gu, '')
    .slice(0, 128);
  return name === '' ? undefined : name;
}
