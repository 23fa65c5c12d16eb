import { parseArgsStringToArgv } from 'string-argv';
import { z } from 'zod';
import { sha256Schema } from '../datasets/digest.js';
import { priorityRange } from '../cluster/slurm/priority.js';
import { onlyJobOf } from '../outputs/experiment.js';
import { parseTimeLimit } from '../config/time-limit.js';
import {
  boolean,
  bytesOf,
  environment,
  fromText,
  gpuIndices,
  maxTotalBytes,
  maxWordBytes,
  number,
  parseJson,
  printable,
  word,
} from './field-types.js';

/** A job's priority; lower numbers run first. */
export const prioritySchema = number(
  z
    .number({ error: 'expected a whole number' })
    .int('expected a whole number')
    .min(priorityRange.min)
    .max(priorityRange.max),
);

/**
 * The fields of `POST /jobs`, from JSON or from a form. All else follows from this schema: the
 * stored request, the job's view, the table in docs/api.md. See "Adding a job field" in
 * CONTRIBUTING.md.
 */
export const submitSchema = z.strictObject({
  command_key: z
    .string({ error: 'expected a command key; GET /commands lists them' })
    .max(64)
    .describe('The template to run; `GET /commands` lists them'),
  dataset_sha: sha256Schema.optional().describe('The SHA-256 of a stored dataset'),
  gpus: number(
    z
      .number({ error: 'expected a number such as 0.5 or 2' })
      .min(0, 'cannot be negative')
      .refine(
        (n) => n <= 1 || Number.isInteger(n),
        'a share is a part of one GPU: ask for up to 1, or for a whole number',
      ),
  )
    .optional()
    .describe('Whole GPUs, or a share of one; by default the need of `llm`, or 0'),
  gpu_mem_gb: number(z.number({ error: 'expected a number' }).positive().max(1e5))
    .optional()
    .describe('Memory of one GPU in GiB, instead of `gpus`'),
  allowed_gpus: gpuIndices
    .optional()
    .describe('The GPUs that the job may use, such as `0,2-3`; by default any'),
  gpu_type: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/,
      'expected a type of GPU as the external Slurm names it',
    )
    .optional()
    .describe('A type of GPU; over an external Slurm only'),
  llm: printable
    .optional()
    .describe('A model whose need decides `gpus`; by default the one after `--llm` in `args`'),
  priority: prioritySchema
    .default(priorityRange.default)
    .describe('0 to 1000; jobs with lower numbers start first'),
  conda_env: z
    .string()
    .regex(
      /^(?:\/[\w./+-]{0,511}|[\w.][\w.+-]{0,255})$/,
      'expected the name of a conda environment, or its absolute path',
    )
    .optional()
    .describe('A conda environment, by name or absolute path, activated before the command'),
  venv: z
    .string()
    .regex(/^\/[^\0\n]{1,1023}$/, 'expected the absolute path of a virtual environment')
    .optional()
    .describe('The absolute path of a Python virtual environment, instead of `conda_env`'),
  screen: boolean.default(false).describe('Run the command inside GNU screen'),
  requeue: boolean.default(false).describe('Queue the job again if its node fails'),
  cuda: z
    .enum(['replace', 'add'], { error: 'expected "replace" or "add"' })
    .default('replace')
    .describe(
      '`replace` sets the value of `--cuda` in `args` to the job’s GPUs; `add` also adds `--cuda`',
    ),
  dedup: boolean
    .default(false)
    .describe('Return an equal job of yours that is live or has completed, instead of a new one'),
  cpus: number(z.number({ error: 'expected a number' }).int('expected a whole number').min(1))
    .default(1)
    .describe('CPUs'),
  mem_gb: number(z.number({ error: 'expected a number' }).positive().max(1e6))
    .optional()
    .describe('Memory in GiB; by default 2, or less where no node has as much'),
  time_limit: fromText(
    z.string({ error: 'expected a time such as 00:10:00' }).refine((text) => {
      const limit = parseTimeLimit(text);
      return limit === 'UNLIMITED' || (limit !== undefined && limit > 0);
    }, 'expected a time such as 00:10:00, 1-12:00:00 or 90 (minutes)'),
    (text) => text.trim(),
  )
    .optional()
    .describe('Slurm’s limit, in its formats and whole minutes; by default `JR_MAX_TIME`'),
  timeout: number(
    z
      .number({ error: 'expected a number of seconds' })
      .min(0.1, 'expected at least 0.1 seconds')
      .max(1e9, 'expected at most 1000000000 seconds')
      .transform((seconds) => Math.round(seconds * 1000) / 1000),
  )
    .optional()
    .describe('Seconds until the command gets SIGTERM; SIGKILL follows five seconds later'),
  split_log: boolean.default(false).describe('Keep standard error out of the log, in its own file'),
  experiment_id: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}$/,
      'expected letters, digits and ._:@+- (at most 128)',
    )
    .refine(
      (name) => onlyJobOf(name) === undefined,
      'job-<number> is the name of a job without an experiment: choose another',
    )
    .optional()
    .describe('Groups the outputs of several jobs; by default `job-<id>`'),
  name: printable.optional().describe('Shown in lists and by Slurm; by default `command_key`'),
  params: fromText(
    z
      .record(z.string(), z.unknown(), { error: 'expected a JSON object' })
      .refine((params) => bytesOf(params) <= maxWordBytes, {
        error: `more than ${maxWordBytes / 1024} KiB as JSON, or nested too deeply`,
        abort: true,
      })
      .refine((params) => !JSON.stringify(params).includes('\\u0000'), 'holds a NUL character'),
    parseJson,
  )
    .default({})
    .describe('The template’s parameters, a JSON object'),
  env: fromText(environment, parseJson)
    .default({})
    .describe('Variables of the job’s environment, a JSON object of texts'),
  command: word
    .min(1, 'is empty')
    .optional()
    .describe('A command line, where the template takes one'),
  args: fromText(
    z
      .array(word, { error: 'expected a list of texts, or one text as a shell would split it' })
      .max(10_000)
      .refine(
        (args) => bytesOf(args) <= maxTotalBytes,
        `more than ${maxTotalBytes / 1024} KiB in all`,
      ),
    (text) => (text.trimStart().startsWith('[') ? parseJson(text) : parseArgsStringToArgv(text)),
  )
    .default([])
    .describe('Arguments of the command: a list, or one text that is split as a shell would'),
  partition: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, 'expected the name of a partition')
    .optional()
    .describe('Where to run; `GET /partitions` lists them'),
  dry_run: boolean.default(false).describe('Check the job and show its script; start nothing'),
});

export type SubmitFields = z.infer<typeof submitSchema>;

export type Changes = { [F in keyof SubmitFields]?: SubmitFields[F] | null };

/** The fields that a rerun may change: all of them. Null restores a field's default. */
export const changesSchema: z.ZodObject & z.ZodType<Changes> = z.strictObject(
  Object.fromEntries(
    Object.entries(submitSchema.shape).map(([name, field]) => [
      name,
      (field instanceof z.ZodDefault ? field.unwrap() : field).nullish(),
    ]),
  ),
);

const { gpus, mem_gb, time_limit, name } = submitSchema.shape;

/** A submitted request, checked and with its defaults; kept so that the job can be run again. */
export const jobRequestSchema = submitSchema.omit({ dedup: true, dry_run: true }).extend({
  gpus: gpus.unwrap(),
  mem_gb: mem_gb.unwrap(),
  time_limit: time_limit.unwrap(),
  name: name.unwrap(),
  script_name: z.string().optional().describe('The uploaded script'),
});

export type JobRequest = z.infer<typeof jobRequestSchema>;

/** Drops the fields that concern the call and not the job. */
export function withoutCallOptions({ dedup: _, dry_run: __, ...fields }: SubmitFields) {
  return fields;
}

/** The values of fields that a request leaves out. */
export const requestDefaults = withoutCallOptions(submitSchema.parse({ command_key: '' }));

/** Applies the changes of a rerun. */
export function changed(fields: SubmitFields, changes: Changes): SubmitFields {
  const defaults: Partial<SubmitFields> = requestDefaults;
  const values = Object.entries(changes).map(([name, value]) => [
    name,
    value ?? defaults[name as keyof SubmitFields],
  ]);
  return { ...fields, ...(Object.fromEntries(values) as Partial<SubmitFields>) };
}

/** Reads a stored request; fields that are newer than the row get their defaults. */
export function readJobRequest(json: string): JobRequest {
  return { ...requestDefaults, ...(JSON.parse(json) as JobRequest) };
}

/** An uploaded script; its content is run as it is. */
export interface ScriptFile {
  name: string;
  content: Buffer;
}

/** Printable ASCII, so that it fits a header and a log line. */
export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,128}$/, 'expected 1 to 128 printable characters');
