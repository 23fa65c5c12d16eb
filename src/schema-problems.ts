import type { z } from 'zod';

/** The issue's field and what is wrong with it, such as `cpus: expected a whole number`. */
export function issueText({ path, message }: Pick<z.core.$ZodIssue, 'path' | 'message'>): string {
  return path.length === 0 ? message : `${path.join('.')}: ${message}`;
}

/** The first issue alone, for words that must stay short. */
export function firstProblem(error: z.ZodError): string {
  return error.issues.slice(0, 1).map(issueText).join();
}

/** Every issue in one sentence, each once. @param kind of field, as the user knows it */
export function problemsOf(error: z.ZodError, kind = 'field'): string {
  const texts = error.issues.map((issue) =>
    issue.code === 'unrecognized_keys'
      ? `${issue.keys.map((key) => key.slice(0, 64)).join(', ')}: no such ${kind}`
      : issueText(issue),
  );
  return [...new Set(texts)].join('; ');
}

/** The fields that the issues name, as `details.fields` of an error. */
export function fieldsOf(error: z.ZodError): string[] {
  return error.issues.map((issue) => issue.path.join('.')).filter((field) => field !== '');
}
