import { isUtf8 } from 'node:buffer';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../errors.js';
import { fieldsOfIssue, nearest, parseKnown } from '../../schema-problems.js';
import { checkSyntax } from './bash-syntax.js';
import { faultIn, lineOf } from './json-text.js';
import { declaredParams, schemaProblems, unknownKeywords, usedParams } from './params.js';
import { paramIn, placeholderNames, placeholdersIn } from './placeholders.js';
import { lineAt, type TemplateProblem } from './problem.js';
import { quotedPlaceholders } from './quoted-placeholders.js';
import { templateFileSchema, type Template, type TemplateFile } from './template.js';

/** Size limit of each file; Slurm takes no much longer script. */
const maxBytes = 1024 ** 2;

export interface TemplateReading {
  commandKey: string;
  /** Undefined when there are problems. */
  template: Template | undefined;
  problems: TemplateProblem[];
  /** Likely mistakes of a template that can be used. */
  warnings: TemplateProblem[];
}

type FileText = string | TemplateProblem;

/** Reads templates. What was found in their files is kept while the texts stay the same. */
export class TemplateReader {
  /** By folder. */
  readonly #known = new Map<string, { texts: FileText[]; reading: Promise<TemplateReading> }>();

  /** Reads a template's folder, and finds the mistakes in its files. */
  async read(folder: string, commandKey: string): Promise<TemplateReading> {
    const texts = await Promise.all([
      readText(folder, 'template.json'),
      readText(folder, 'job.sh'),
    ]);
    const known = this.#known.get(folder);
    if (known !== undefined && texts.every((text, i) => text === known.texts[i]))
      return known.reading;
    const reading = examine(folder, commandKey, ...texts);
    this.#known.set(folder, { texts, reading });
    // An examination that could not be made is made again.
    reading.catch(() => this.#known.delete(folder));
    return reading;
  }
}

async function examine(
  folder: string,
  commandKey: string,
  json: FileText,
  body: FileText,
): Promise<TemplateReading> {
  const { file, problems, warnings } =
    typeof json === 'string'
      ? readTemplateFile(json)
      : { file: undefined, problems: [json], warnings: [] };
  if (typeof body !== 'string') problems.push(body);
  else {
    const found = await checkSyntax(body);
    problems.push(...found.problems, ...unknownPlaceholders(body, file));
    warnings.push(...found.warnings, ...doubtfulPlaceholders(body));
    if (file !== undefined) warnings.push(...emptyPlaceholders(body, file));
    if (body.includes('\r\n'))
      warnings.push(
        inScript(
          body,
          body.indexOf('\r\n'),
          undefined,
          'ends with a carriage return, which bash takes for a part of the command; save the file with Unix line ends',
        ),
      );
  }
  const isWhole = problems.length === 0 && file !== undefined && typeof body === 'string';
  return {
    commandKey,
    template: isWhole ? { ...file, commandKey, folder, body } : undefined,
    problems,
    warnings,
  };
}

/** Reads a regular file of a template; returns a problem for one that cannot be read. */
async function readText(folder: string, file: 'template.json' | 'job.sh'): Promise<FileText> {
  const problem = (message: string) => ({ file, line: undefined, field: undefined, message });
  try {
    // A named pipe would otherwise wait for its writer.
    const handle = await open(join(folder, file), constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) return problem('is not a file');
      if (stat.size > maxBytes) return problem(`is larger than ${maxBytes / 1024} KiB`);
      const bytes = await handle.readFile();
      if (!isUtf8(bytes)) return problem('is not UTF-8 text');
      // Some editors put a byte order mark first, which neither JSON.parse nor bash takes.
      return bytes.toString().replace(/^\uFEFF/, '');
    } finally {
      await handle.close();
    }
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    if (code === 'ENOENT') return problem('is missing');
    return problem(`cannot be read by the service (${code})`);
  }
}

interface FileReading {
  file: TemplateFile | undefined;
  problems: TemplateProblem[];
  warnings: TemplateProblem[];
}

function readTemplateFile(text: string): FileReading {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { file: undefined, problems: [notJson(text)], warnings: [] };
  }
  const parsed = parseKnown(templateFileSchema, value, 'key');
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue): TemplateProblem => {
      const [field] = fieldsOfIssue(issue);
      const path =
        issue.code === 'unrecognized_keys'
          ? [...issue.path, ...issue.keys.slice(0, 1)]
          : issue.path;
      // The message of an unknown key names the key itself.
      const isNamed = issue.code === 'unrecognized_keys';
      return {
        file: 'template.json',
        line: lineOf(text, path),
        field: isNamed ? undefined : field,
        message: issue.message,
      };
    });
    return { file: undefined, problems, warnings: [] };
  }
  const file = parsed.data;
  const problems = schemaProblems(file.params).map(({ path, message }): TemplateProblem => ({
    file: 'template.json',
    line: lineOf(text, ['params', ...path]),
    field: ['params', ...path].join('.'),
    message,
  }));
  if (problems.length > 0) return { file: undefined, problems, warnings: [] };
  const warnings = unknownKeywords(file.params).map(({ keyword, message }): TemplateProblem => ({
    file: 'template.json',
    line: lineAt(text, Math.max(0, text.indexOf(JSON.stringify(keyword)))),
    field: keyword,
    message,
  }));
  return { file, problems, warnings };
}

function notJson(text: string): TemplateProblem {
  const position = faultIn(text);
  const [char] = text.slice(position, position + 2);
  const found = char === undefined ? 'end of the file' : JSON.stringify(char);
  return {
    file: 'template.json',
    line: lineAt(text, position),
    field: undefined,
    message: `is not JSON: unexpected ${found}`,
  };
}

function inScript(
  body: string,
  position: number,
  name: string | undefined,
  message: string,
): TemplateProblem {
  const field = name === undefined ? undefined : `{{${name}}}`;
  return { file: 'job.sh', line: lineAt(body, position), field, message };
}

/** @param file undefined when template.json is broken: its parameters are unknown then */
function unknownPlaceholders(body: string, file: TemplateFile | undefined): TemplateProblem[] {
  const params = file && declaredParams(file.params);
  const takesOthers =
    file === undefined ||
    file.params['additionalProperties'] !== false ||
    file.params['patternProperties'] !== undefined;
  const known = [...placeholderNames, ...(params ?? []).map((name) => `params.${name}`)];
  return placeholdersIn(body)
    .filter(({ name }) => !known.includes(name) && !(takesOthers && paramIn(name) !== undefined))
    .map(({ name, start }) => {
      const near = nearest(name, known);
      const meant = near === undefined ? '' : ` (did you mean {{${near}}}?)`;
      const what = paramIn(name) === undefined ? 'placeholder' : 'parameter in template.json';
      const rest = `available: ${known.join(', ')}`;
      return inScript(body, start, name, `no such ${what}${meant}; ${rest}`);
    });
}

/** Finds placeholders whose values would not arrive as they should. */
function doubtfulPlaceholders(body: string): TemplateProblem[] {
  const quoted = quotedPlaceholders(body).map(({ name, line, inside }): TemplateProblem => ({
    file: 'job.sh',
    line,
    field: `{{${name}}}`,
    message: `stands in ${inside}, where bash runs commands that its value holds; it is a quoted word already: write it alone, or assign it to a variable first`,
  }));
  const spaced = [...body.matchAll(/\{\{(?:\s+([\w.-]+)\s*|([\w.-]+)\s+)\}\}/g)].flatMap(
    (match) => {
      const name = match[1] ?? match[2] ?? '';
      if (paramIn(name) === undefined && !placeholderNames.some((known) => known === name))
        return [];
      return [inScript(body, match.index, name, `has spaces in its braces, so it stays as it is`)];
    },
  );
  return [...quoted, ...spaced];
}

/** Finds placeholders that are always empty, or that may lack a value. */
function emptyPlaceholders(body: string, file: TemplateFile): TemplateProblem[] {
  const partOf: Partial<Record<string, 'dataset' | 'command' | 'script' | 'args'>> = {
    dataset_dir: 'dataset',
    dataset_file: 'dataset',
    command: 'command',
    script: 'script',
    args: 'args',
  };
  const firstOf = new Map(
    placeholdersIn(body)
      .toReversed()
      .map(({ name, start }) => [name, start]),
  );
  const never = [...firstOf].flatMap(([name, start]) => {
    const part = partOf[name];
    if (part === undefined || file[part] !== 'none') return [];
    return [inScript(body, start, name, `is always empty: template.json says "${part}": "none"`)];
  });
  const { properties = {}, required = [] } = file.params as {
    properties?: Record<string, unknown>;
    required?: string[];
  };
  const optional = usedParams(body)
    .filter((name) => !required.includes(name) && !hasDefault(properties, name))
    .map((name) =>
      inScript(
        body,
        firstOf.get(`params.${name}`) ?? 0,
        `params.${name}`,
        `a job without this parameter is refused; list it in "required", or give it a "default" ("" for an empty word)`,
      ),
    );
  return [...never, ...optional];
}

function hasDefault(properties: Record<string, unknown>, name: string): boolean {
  const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
  return typeof property === 'object' && property !== null && 'default' in property;
}
