import { parseArgsStringToArgv } from 'string-argv';
import { z } from 'zod';
import { sha256Schema } from '../datasets/digest.js';
import { priorityRange } from '../cluster/slurm/sbatch.js';
import { parseTimeLimit } from '../config/time-limit.js';

/**
 * Linux refuses a single argument or variable over 128 KiB (MAX_ARG_STRLEN, execve(2)); what is meant to become one
 * is held below that here, where it can still be told to the caller.
 */
const wordBytes = 100 * 1024;
const totalBytes = 512 * 1024;

/** Infinity for what is nested so deeply that it parses, yet overflows the stack on the way back. */
function bytesOf(value: unknown): number {
  try {
    return Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value));
  } catch (error) {
    if (error instanceof RangeError) return Infinity;
    throw error;
  }
}

const noNul = (text: string) => !text.includes('\0');

/** Form fields are text; a number, or an object in JSON, may come so. */
const fromText = <S extends z.ZodType>(schema: S, parse: (text: string) => unknown) =>
  z.preprocess((value) => (typeof value === 'string' ? parse(value) : value), schema);

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    // Left as it is, the text fails the schema, whose message names the field.
    if (error instanceof SyntaxError) return text;
    throw error;
  }
};

const number = <S extends z.ZodType>(schema: S) =>
  fromText(schema, (text) => (/^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text));

const word = z
  .string()
  .refine(noNul, 'holds a NUL byte')
  .refine((text) => bytesOf(text) <= wordBytes, `longer than ${wordBytes / 1024} KiB`);

const environment = z
  .record(z.string(), word, { error: 'expected an object of names and texts' })
  .superRefine((env, ctx) => {
    for (const name of Object.keys(env)) {
      const path = [name.slice(0, 64)];
      if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name))
        ctx.addIssue({ code: 'custom', path, message: 'not a name for a variable' });
      else if (/^(JR_|SLURM|CUDA_VISIBLE_DEVICES$)/.test(name))
        ctx.addIssue({
          code: 'custom',
          path,
          message: 'set by JobRunner or Slurm; use another name',
        });
    }
  })
  .refine((env) => bytesOf(env) <= totalBytes, `more than ${totalBytes / 1024} KiB in all`);

const printable = z
  .string()
  .regex(
    /^[^\p{Cc}\p{Cs}\u2028\u2029]{1,128}$/u,
    'expected 1 to 128 characters, no control characters',
  );

const boolean = fromText(z.boolean({ error: 'expected true or false' }), (text) => {
  if (/^(1|true|yes)$/i.test(text)) return true;
  return /^(0|false|no)$/i.test(text) ? false : text;
});

/** `0,2-3`, or a list of indices, to the indices without repetition, in order. */
const allowedGpus = z.preprocess(
  (value) => (typeof value === 'string' ? parseIndexList(value) : value),
  z
    .array(z.number().int().min(0).max(1023), {
      error: 'expected GPU indices such as "0,2-3", or a list of numbers',
    })
    .min(1, 'names no GPU; leave it out for any')
    .max(1024)
    .transform((indices) => [...new Set(indices)].sort((a, b) => a - b)),
);

/** The text itself when it is no list of indices, for the schema to refuse. */
export function parseIndexList(text: string): number[] | string {
  const indices: number[] = [];
  for (const part of text.split(',')) {
    const [, first, last = first] = /^\s*(\d{1,4})\s*(?:-\s*(\d{1,4})\s*)?$/.exec(part) ?? [];
    if (first === undefined || Number(last) < Number(first)) return text;
    for (let i = Number(first); i <= Number(last); i++) indices.push(i);
  }
  return indices;
}

/** Lower runs first. */
export const prioritySchema = number(
  z
    .number({ error: 'expected a whole number' })
    .int('expected a whole number')
    .min(priorityRange.least)
    .max(priorityRange.most),
);

/** The fields of `POST /jobs`, from JSON or from a form. */
export const submitSchema = z.strictObject({
  command_key: z.string({ error: 'expected a command key; GET /commands lists them' }).max(64),
  dataset_sha: sha256Schema.optional(),
  gpus: number(
    z
      .number({ error: 'expected a number such as 0.5 or 2' })
      .min(0, 'cannot be negative')
      .refine(
        (n) => n <= 1 || Number.isInteger(n),
        'a share is a part of one GPU: ask for up to 1, or for a whole number',
      ),
  ).optional(),
  gpu_mem_gb: number(z.number({ error: 'expected a number' }).positive().max(1e5)).optional(),
  allowed_gpus: allowedGpus.optional(),
  gpu_type: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/,
      'expected a type of GPU as the site’s Slurm names it',
    )
    .optional(),
  llm: printable.optional(),
  priority: prioritySchema.default(priorityRange.usual),
  conda_env: z
    .string()
    .regex(
      /^(?:\/[\w./+-]{0,511}|[\w.][\w.+-]{0,255})$/,
      'expected the name of a conda environment, or its absolute path',
    )
    .optional(),
  venv: z
    .string()
    .regex(/^\/[^\0\n]{1,1023}$/, 'expected the absolute path of a virtual environment')
    .optional(),
  screen: boolean.default(false),
  requeue: boolean.default(false),
  cuda: z.enum(['replace', 'add'], { error: 'expected "replace" or "add"' }).default('replace'),
  dedup: boolean.default(false),
  cpus: number(
    z.number({ error: 'expected a number' }).int('expected a whole number').min(1),
  ).default(1),
  mem_gb: number(z.number({ error: 'expected a number' }).positive().max(1e6)).optional(),
  time_limit: fromText(
    z.string({ error: 'expected a time such as 00:10:00' }).refine((text) => {
      const limit = parseTimeLimit(text);
      return limit === 'UNLIMITED' || (limit !== undefined && limit > 0);
    }, 'expected a time such as 00:10:00, 1-12:00:00 or 90 (minutes)'),
    (text) => text.trim(),
  ).optional(),
  timeout: number(
    z
      .number({ error: 'expected a number of seconds' })
      .min(0.1, 'expected at least 0.1 seconds')
      .max(1e9, 'expected at most 1000000000 seconds')
      .transform((seconds) => Math.round(seconds * 1000) / 1000),
  ).optional(),
  split_log: boolean.default(false),
  experiment_id: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}$/,
      'expected letters, digits and ._:@+- (at most 128)',
    )
    .optional(),
  name: printable.optional(),
  params: fromText(
    z
      .record(z.string(), z.unknown(), { error: 'expected a JSON object' })
      .refine((params) => bytesOf(params) <= wordBytes, {
        error: `more than ${wordBytes / 1024} KiB as JSON, or nested too deeply`,
        abort: true,
      })
      .refine((params) => !JSON.stringify(params).includes('\\u0000'), 'holds a NUL character'),
    parseJson,
  ).default({}),
  env: fromText(environment, parseJson).default({}),
  command: word.min(1, 'is empty').optional(),
  args: fromText(
    z
      .array(word, { error: 'expected a list of texts, or one text as a shell would split it' })
      .max(10_000)
      .refine((args) => bytesOf(args) <= totalBytes, `more than ${totalBytes / 1024} KiB in all`),
    (text) => (text.trimStart().startsWith('[') ? parseJson(text) : parseArgsStringToArgv(text)),
  ).default([]),
  partition: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, 'expected the name of a partition')
    .optional(),
  dry_run: boolean.default(false),
});

export type SubmitFields = z.infer<typeof submitSchema>;

/** An uploaded script; its content is run as it is. */
export interface ScriptFile {
  name: string;
  content: Buffer;
}

/** Printable ASCII, so that it fits a header and a log line. */
export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,128}$/, 'expected 1 to 128 printable characters');
