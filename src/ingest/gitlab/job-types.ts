import { readFile } from 'node:fs/promises';
import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { errnoOf } from '../../errors.js';
import { submitSchema } from '../../jobs/request.js';
import { didYouMean, parseKnown } from '../../schema-problems.js';

/**
 * Fields that the operator may set for a `job_type`: all but those that a manifest’s job decides,
 * or that concern a single call. A manifest itself can only set the timeout.
 */
export const jobTypeSchema = submitSchema
  .omit({ name: true, experiment_id: true, dedup: true, dry_run: true })
  .partial()
  .extend({ command_key: submitSchema.shape.command_key });

const fileSchema = z.record(
  z.string().min(1).max(200),
  z.preprocess(
    (value) => (typeof value === 'string' ? { command_key: value } : value),
    jobTypeSchema,
  ),
  { error: 'expected a job_type on each line, and its command key or settings' },
);

export type JobTypes = Readonly<Record<string, z.infer<typeof jobTypeSchema>>>;

/**
 * Reads the file that maps each `job_type` to its settings, anew at each call. A missing file maps
 * nothing.
 * @param commandKeys the templates that there are
 * @throws Error naming the setting when the file is unusable, as while it is being written. It is
 *   no AppError, since no job is to blame.
 */
export async function readJobTypes(
  path: string,
  commandKeys: readonly string[],
): Promise<JobTypes> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return {};
    throw refusal(`cannot be read (${errnoOf(cause) ?? 'unknown'}); let the user jobrunner`, cause);
  }
  const types = parseJobTypes(text);
  // A job of such a type would be claimed, and never run.
  for (const [type, { command_key: key }] of Object.entries(types))
    if (!commandKeys.includes(key))
      throw refusal(
        `${type}: command_key: unknown template ${JSON.stringify(key)}${didYouMean(key, commandKeys)}; available: ${commandKeys.join(', ')}`,
      );
  return types;
}

/** @throws Error as {@link readJobTypes} does. */
export function parseJobTypes(text: string): JobTypes {
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (cause) {
    if (!(cause instanceof YAMLParseError) && !(cause instanceof ReferenceError)) throw cause;
    throw refusal(cause.message.split('\n')[0] ?? 'not YAML', cause);
  }
  const parsed = parseKnown(fileSchema, value);
  if (parsed.success) return Object.assign(Object.create(null), parsed.data) as JobTypes;
  throw refusal(z.prettifyError(parsed.error).replace(/\s+/g, ' '), parsed.error);
}

function refusal(why: string, cause?: unknown): Error {
  return new Error(`JR_GITLAB_JOB_TYPES: unusable file: ${why}`, { cause });
}
