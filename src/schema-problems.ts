import type { z } from 'zod';

/** Names the issue's field and the problem, such as `cpus: expected a whole number`. */
export function issueText({ path, message }: Pick<z.core.$ZodIssue, 'path' | 'message'>): string {
  return path.length === 0 ? message : `${path.join('.')}: ${message}`;
}

/** Describes the first issue only, for text that must stay short. */
export function firstProblem(error: z.ZodError): string {
  return error.issues.slice(0, 1).map(issueText).join();
}

/** Describes all issues in one sentence, each once. @param kind of field, as the user knows it */
export function problemsOf(error: z.ZodError, kind = 'field'): string {
  const texts = error.issues.map((issue) =>
    issue.code === 'unrecognized_keys'
      ? `${issue.keys.map((key) => key.slice(0, 64)).join(', ')}: no such ${kind}`
      : issueText(issue),
  );
  return [...new Set(texts)].join('; ');
}

/** Lists the fields that the issues name, each once, for `details.fields`; unknown ones too. */
export function fieldsOf(error: z.ZodError): string[] {
  const fields = error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => [...issue.path, key.slice(0, 64)].join('.'))
      : [issue.path.join('.')],
  );
  return [...new Set(fields)].filter((field) => field !== '');
}
