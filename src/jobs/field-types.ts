import { z } from 'zod';

/** Linux refuses one argument or variable over 128 KiB (MAX_ARG_STRLEN, execve(2)); stay below. */
export const maxWordBytes = 100 * 1024;
export const maxTotalBytes = 512 * 1024;

/**
 * Counts bytes as JSON; Infinity for a value nested so deeply that writing it overflows the stack.
 */
export function bytesOf(value: unknown): number {
  try {
    return Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value));
  } catch (error) {
    if (error instanceof RangeError) return Infinity;
    throw error;
  }
}

/**
 * Parses text before the schema checks the value: form fields are text, and JSON may hold text,
 * too. The schema rejects text that `parse` returns unchanged.
 */
export const fromText = <S extends z.ZodType>(schema: S, parse: (text: string) => unknown) =>
  z.preprocess((value) => (typeof value === 'string' ? parse(value) : value), schema);

export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The unchanged text fails the schema, whose message names the field.
    if (error instanceof SyntaxError) return text;
    throw error;
  }
};

export const number = <S extends z.ZodType>(schema: S) =>
  fromText(schema, (text) => (/^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text));

export const boolean = fromText(z.boolean({ error: 'expected true or false' }), (text) => {
  if (/^(1|true|yes)$/i.test(text)) return true;
  return /^(0|false|no)$/i.test(text) ? false : text;
});

/** One argument of a command, or the value of one variable. */
export const word = z
  .string()
  .refine((text) => !text.includes('\0'), 'holds a NUL byte')
  .refine((text) => bytesOf(text) <= maxWordBytes, `longer than ${maxWordBytes / 1024} KiB`);

export const environment = z
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
  .refine((env) => bytesOf(env) <= maxTotalBytes, `more than ${maxTotalBytes / 1024} KiB in all`);

export const printable = z
  .string()
  .regex(
    /^[^\p{Cc}\p{Cs}\u2028\u2029]{1,128}$/u,
    'expected 1 to 128 characters, no control characters',
  );

/** Reads `0,2-3`, or a list of indices, as the indices in order without repetition. */
export const gpuIndices = z.preprocess(
  (value) => (typeof value === 'string' ? parseIndexList(value) : value),
  z
    .array(z.number().int().min(0).max(1023), {
      error: 'expected GPU indices such as "0,2-3", or a list of numbers',
    })
    .min(1, 'names no GPU; leave it out for any')
    .max(1024)
    .transform((indices) => [...new Set(indices)].sort((a, b) => a - b)),
);

/** Reads `0,2-3`; returns any other text unchanged, for the schema to reject. */
export function parseIndexList(text: string): number[] | string {
  const indices: number[] = [];
  for (const part of text.split(',')) {
    const [, first, last = first] = /^\s*(\d{1,4})\s*(?:-\s*(\d{1,4})\s*)?$/.exec(part) ?? [];
    if (first === undefined || Number(last) < Number(first)) return text;
    for (let i = Number(first); i <= Number(last); i++) indices.push(i);
  }
  return indices;
}
