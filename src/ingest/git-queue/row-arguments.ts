import { z } from 'zod';
import { AppError } from '../../errors.js';

/** execve(2) accepts no single argument above 128 KiB. */
const maxWordBytes = 100 * 1024;

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const argsSchema = z.array(scalar).max(10_000);
const kwargsSchema = z.record(z.string(), z.union([scalar, z.array(scalar).max(10_000)]));

export type Args = z.infer<typeof argsSchema>;
export type Kwargs = z.infer<typeof kwargsSchema>;

/**
 * Parses the column `args`.
 * @throws AppError bad_request unless it is a JSON list of plain values
 */
export function readArgs(text: string): Args {
  return read('args', text, argsSchema, '["1", "two"]') ?? [];
}

/**
 * Parses the column `kwargs`.
 * @throws AppError bad_request unless it is a JSON object of plain values or lists of them
 */
export function readKwargs(text: string): Kwargs {
  const kwargs = read('kwargs', text, kwargsSchema, '{"cheese": "on,toast"}') ?? {};
  for (const name of Object.keys(kwargs))
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(name))
      throw bad(`kwargs: ${JSON.stringify(name.slice(0, 80))} cannot be the name of an option`);
  return kwargs;
}

/**
 * Makes the words after `python <script>`: the arguments, then `--name=value` for each option.
 * `true` gives the bare option, `false` and `null` omit it, and a list repeats it for each value.
 */
export function toWords(args: Args, kwargs: Kwargs): string[] {
  const options = Object.entries(kwargs).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).flatMap((one) => {
      if (one === null || one === false) return [];
      return [one === true ? `--${name}` : `--${name}=${one}`];
    }),
  );
  const words = [...args.map((arg) => (arg === null ? '' : String(arg))), ...options];
  for (const word of words) {
    if (word.includes('\0')) throw bad('args: contains a NUL character');
    if (Buffer.byteLength(word) > maxWordBytes)
      throw bad(`args: one is longer than ${maxWordBytes / 1024} KiB`);
  }
  return words;
}

function read<S extends z.ZodType>(name: string, text: string, schema: S, example: string) {
  if (text.trim() === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad(`${name}: is not JSON, such as ${example}`, cause);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw bad(`${name}: expected plain values, such as ${example}`);
  return parsed.data;
}

function bad(message: string, cause?: unknown): AppError {
  return new AppError('bad_request', message, { cause });
}
