/** A fault in a template's files. */
export interface TemplateProblem {
  /** Undefined for the folder itself. */
  file: 'template.json' | 'job.sh' | undefined;
  /** Counted from 1; undefined where the fault has no line. */
  line: number | undefined;
  /** The path of the field in template.json, or the placeholder in job.sh. */
  field: string | undefined;
  message: string;
}

/** Describes a fault: `template.json, line 4, params.type: expected "object"`. */
export function problemText({ file, line, field, message }: TemplateProblem): string {
  const where = [file, line === undefined ? undefined : `line ${line}`, field];
  const named = where.filter((part) => part !== undefined).join(', ');
  return named === '' ? message : `${named}: ${message}`;
}

/** Returns the line of a position in a text. */
export function lineAt(text: string, position: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < position; at = text.indexOf('\n', at + 1))
    line += 1;
  return line;
}
