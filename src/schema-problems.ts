import leven from 'leven';
import type { z } from 'zod';

/** Longest part of a mistyped word that is compared and shown. */
const maxShown = 64;
/** Most mistyped words that one message names. */
const maxNamed = 10;

/** Names the issue's field and the problem, such as `cpus: expected a whole number`. */
export function issueText({ path, message }: Pick<z.core.$ZodIssue, 'path' | 'message'>): string {
  return path.length === 0 ? message : `${path.join('.')}: ${message}`;
}

/** Describes the first issue only, for text that must stay short. */
export function firstProblem(error: z.ZodError): string {
  return error.issues.slice(0, 1).map(problemOf).join();
}

/** Describes all issues in one sentence, each once. */
export function problemsOf(error: z.ZodError): string {
  return [...new Set(error.issues.map(problemOf))].join('; ');
}

/** Describes an issue. The message of an unknown key names the key itself. */
export function problemOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'unrecognized_keys' ? issue.message : issueText(issue);
}

/** Lists the fields that an issue names, by their paths; empty for the value as a whole. */
export function fieldsOfIssue(issue: z.core.$ZodIssue): string[] {
  const paths =
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => [...issue.path, key.slice(0, maxShown)])
      : [issue.path];
  return paths.map((path) => path.join('.')).filter((field) => field !== '');
}

/**
 * Lists the fields that the issues name, for an error's `details.fields`.
 * @param whole the name of the value itself, for issues that name no field
 */
export function fieldsOf(error: z.ZodError, whole: string): string[] {
  const fields = [...new Set(error.issues.flatMap(fieldsOfIssue))];
  return fields.length === 0 ? [whole] : fields;
}

/**
 * Parses a value. The message of an unknown key lists the known ones, and proposes the nearest.
 * @param kind of key, as the user knows it
 */
export function parseKnown<S extends z.ZodType>(
  schema: S,
  value: unknown,
  kind = 'field',
): z.ZodSafeParseResult<z.output<S>> {
  return schema.safeParse(value, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return undefined;
      const { shape = {} } = (issue.inst?._zod.def ?? {}) as Partial<z.core.$ZodObjectDef>;
      const names = issue.keys.map((key) => [...(issue.path ?? []), key].join('.'));
      return unknownNames(names, kind, Object.keys(shape));
    },
  });
}

const plain = (word: string) => word.toLowerCase().replaceAll(/[^a-z0-9]/g, '');

const letters = (word: string) => [...word].sort().join('');

/** Tells whether `short` abbreviates `long`, as `cmd` does `command`. */
function abbreviates(short: string, long: string): boolean {
  if (short.length < 2 || short.length < 0.4 * long.length || short[0] !== long[0]) return false;
  let at = 0;
  for (const letter of short) {
    at = long.indexOf(letter, at) + 1;
    if (at === 0) return false;
  }
  return true;
}

/** Returns the known word that a mistyped one most likely means; undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const typed = plain(word.slice(0, maxShown));
  let best: { name: string; rank: number } | undefined;
  for (const name of known) {
    const target = plain(name);
    const isSwapped = letters(typed) === letters(target);
    const distance = isSwapped ? Math.min(leven(typed, target), 1) : leven(typed, target);
    const isClose = distance <= 0.4 * Math.min(typed.length, target.length);
    // The shortest of the words that are abbreviated comes first, after all that are close.
    const far = abbreviates(typed, target) ? maxShown + target.length : Infinity;
    const rank = isClose ? distance : far;
    if (rank < (best?.rank ?? Infinity)) best = { name, rank };
  }
  return best?.name;
}

/** Proposes the nearest known word: ` (did you mean command?)`; empty when none is near. */
export function didYouMean(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}

/**
 * Says that names are unknown, with the nearest known ones:
 * `cmd: no such field (did you mean command?); available: args, command`.
 * @param kind of name, as the user knows it
 * @param rest stands in place of the list of known names
 */
export function unknownNames(
  names: readonly string[],
  kind: string,
  known: readonly string[],
  rest = known.length === 0 ? `there is no ${kind} here` : `available: ${known.join(', ')}`,
): string {
  const told = names.slice(0, maxNamed).map((name) => {
    const meant = didYouMean(name.slice(name.lastIndexOf('.') + 1), known);
    return `${name.slice(0, maxShown)}: no such ${kind}${meant}`;
  });
  const more = names.length > maxNamed ? [`and ${names.length - maxNamed} more`] : [];
  return [...told, ...more, rest].join('; ');
}
