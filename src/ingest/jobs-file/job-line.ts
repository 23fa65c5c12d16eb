import { parseArgsStringToArgv } from 'string-argv';
import { AppError } from '../../errors.js';
import { parseIndexList } from '../../jobs/field-types.js';

/** Maximum length of a line, in bytes; command lines are far shorter. */
export const maxLineBytes = 64 * 1024;

/** One line of the jobs file: `priority,script_path,conda_env,arguments,allowed_gpus`. */
export interface JobLine {
  /** Text as written; undefined when the field is empty. */
  priority: string | undefined;
  script: string;
  condaEnv: string | undefined;
  args: string[];
  /** Undefined: any GPU. */
  allowedGpus: number[] | undefined;
}

/** Fields of a line as a user gives them to `jobrunner add`. */
export interface JobLineTexts {
  priority: string;
  script: string;
  condaEnv: string;
  args: string;
  allowedGpus: string;
}

/** Whether a line is empty or a comment. */
export function isBlank(line: string): boolean {
  return /^\s*(#|$)/.test(line);
}

/**
 * Reads one line that is not blank. Commas inside quotes, double or single, do not separate fields.
 * A field that is one double-quoted text as in CSV (RFC 4180: `""` stands for a quote) loses those
 * quotes. Other fields keep theirs, so that the arguments can be split as a shell would.
 * All fields after the fourth belong to `allowed_gpus`, which may therefore contain commas.
 * @throws AppError bad_request naming the field
 */
export function parseJobLine(line: string): JobLine {
  const fields = splitFields(line);
  if (fields.length < 2)
    throw bad('expected priority,script_path,conda_env,arguments,allowed_gpus; this has no comma');
  const [priority = '', script = '', condaEnv = '', args = '', ...gpus] = fields.map(unquote);
  if (!/^\/./.test(script))
    throw bad(`script_path: expected an absolute path, got ${excerpt(script)}`);
  return {
    priority: priority === '' ? undefined : priority,
    script,
    condaEnv: condaEnv === '' ? undefined : condaEnv,
    args: splitArguments(args),
    allowedGpus: readGpus(gpus),
  };
}

/**
 * Writes the line, without a line end, that {@link parseJobLine} reads back as these fields.
 * @throws AppError bad_request when no line can hold them
 */
export function formatJobLine(texts: JobLineTexts): string {
  const { priority, script, condaEnv, args, allowedGpus } = texts;
  const line = [priority, script, condaEnv, args].map(quote).concat(allowedGpus.trim()).join(',');
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(line))
    throw bad('a line cannot hold line ends or other control characters');
  if (Buffer.byteLength(line) > maxLineBytes) throw bad(`longer than ${maxLineBytes / 1024} KiB`);
  return line;
}

function splitFields(line: string): string[] {
  const fields: string[] = [];
  let start = 0;
  const open = eachUnquoted(line, (char, i) => {
    if (char !== ',') return;
    fields.push(line.slice(start, i));
    start = i + 1;
  });
  if (open !== undefined)
    throw bad(`the quote ${open} is never closed; double-quote the field to have it in the text`);
  return [...fields, line.slice(start)];
}

/**
 * Visits each character outside quotes.
 * @returns the quote that is still open at the end
 */
function eachUnquoted(
  text: string,
  visit: (char: string, i: number) => void,
): '"' | "'" | undefined {
  let open: '"' | "'" | undefined;
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (open !== undefined) open = char === open ? undefined : open;
    else if (char === '"' || char === "'") open = char;
    else visit(char, i);
  }
  return open;
}

function unquote(field: string): string {
  const text = field.trim();
  return /^"(?:[^"]|"")*"$/.test(text) ? text.slice(1, -1).replaceAll('""', '"') : text;
}

function quote(text: string): string {
  return /[,"']|^\s|\s$|^#/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function splitArguments(text: string): string[] {
  const open = eachUnquoted(text, () => undefined);
  if (open !== undefined) throw bad(`arguments: the quote ${open} is never closed`);
  return parseArgsStringToArgv(text);
}

function readGpus(fields: string[]): number[] | undefined {
  const given = fields.filter((field) => field !== '');
  if (given.length === 0) return undefined;
  return given.flatMap((field) => {
    const indices = parseIndexList(field);
    if (typeof indices === 'string')
      throw bad(
        `allowed_gpus: expected GPU indices such as 0,2-3, got ${excerpt(field)}; arguments that hold commas need quotes`,
      );
    return indices;
  });
}

function bad(message: string): AppError {
  return new AppError('bad_request', message);
}

/** Shortens and quotes a text for a message, whatever the file contains. */
export function excerpt(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
