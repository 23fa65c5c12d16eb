import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { AppError, fieldError } from '../../errors.js';
import { didYouMean, unknownNames } from '../../schema-problems.js';
import { paramIn, placeholdersIn } from './placeholders.js';
import type { Template } from './template.js';

const silent = { log: () => undefined, warn: () => undefined, error: () => undefined };
const options = {
  allErrors: true,
  useDefaults: true,
  coerceTypes: true,
  strict: false,
  logger: silent,
} as const;

/**
 * Validators by command key, kept while the schema is the same: each job reads its template anew.
 */
const validators = new Map<string, { schema: string; validate: ValidateFunction }>();

type Schema = Template['params'];

/**
 * Checks `params` against the template's schema, and fills in its defaults. A parameter that
 * `job.sh` uses needs a value, if only the empty text as its default.
 * @throws AppError bad_request naming each parameter; unprocessable when the template's schema is
 *   broken.
 */
export function checkParams(
  template: Template,
  given: Record<string, unknown>,
): Record<string, unknown> {
  const params = structuredClone(given);
  const validate = validatorOf(template);
  const known = declaredParams(template.params);
  const faults = validate(params) ? [] : (validate.errors ?? []).map((each) => fault(each, known));
  if (faults.length === 0) faults.push(...withoutValue(template, params));
  if (faults.length === 0) return params;
  throw new AppError('bad_request', faults.map(({ text }) => text).join('; '), {
    details: { fields: [...new Set(faults.map(({ field }) => field))], parameters: known },
  });
}

/** Lists the parameters that a schema declares. */
export function declaredParams({ properties = {} }: Schema): string[] {
  return Object.keys(properties as object);
}

/** Lists the parameters that a script uses, each once. */
export function usedParams(script: string): string[] {
  const names = placeholdersIn(script).map(({ name }) => paramIn(name));
  return [...new Set(names)].filter((name) => name !== undefined);
}

function withoutValue({ body }: Template, params: Record<string, unknown>) {
  return usedParams(body)
    .filter((name) => !Object.hasOwn(params, name))
    .map((name) => {
      const field = `params.${name}`;
      return { field, text: `${field}: needs a value: the template declares no default` };
    });
}

function fault(error: ErrorObject, known: readonly string[]): { field: string; text: string } {
  const path = pathOf(error);
  const at = ['params', ...path].join('.');
  const { additionalProperty: extra, missingProperty: missing } = error.params as {
    additionalProperty?: string;
    missingProperty?: string;
  };
  if (missing !== undefined)
    return { field: `${at}.${missing}`, text: `${at}.${missing}: is missing` };
  if (extra === undefined) return { field: at, text: `${at}: ${error.message}` };
  const field = `${at}.${extra.slice(0, 64)}`;
  if (path.length === 0) return { field, text: unknownNames([field], 'parameter', known) };
  return { field, text: `${field}: no such parameter` };
}

/** Returns the path of the value that an error is about. */
function pathOf({ instancePath }: Pick<ErrorObject, 'instancePath'>): string[] {
  return instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function validatorOf({ commandKey, params }: Template): ValidateFunction {
  const schema = JSON.stringify(params);
  const known = validators.get(commandKey);
  if (known?.schema === schema) return known.validate;
  try {
    // Use an Ajv of its own: a shared one would keep every schema for good, and refuse an `$id`
    // that it has seen.
    const validate = new Ajv2020(options).compile(params);
    validators.set(commandKey, { schema, validate });
    return validate;
  } catch (cause) {
    throw fieldError(
      'unprocessable',
      'command_key',
      `the template ${commandKey} has a broken parameter schema`,
      { cause },
    );
  }
}

export interface SchemaFinding {
  /** The path in the schema. */
  path: string[];
  message: string;
}

/** Finds why a parameter schema cannot be used; empty for one that can. */
export function schemaProblems(params: Schema): SchemaFinding[] {
  const ajv = new Ajv2020(options);
  try {
    // A part that fits none of several forms has an error for each; the first one tells.
    if (ajv.validateSchema(params) === false)
      return firstOfEach((ajv.errors ?? []).map((each) => [pathOf(each), `${each.message}`]));
    ajv.compile(params);
    return [];
  } catch (error) {
    return [{ path: [], message: (error as Error).message }];
  }
}

function firstOfEach(found: readonly [string[], string][]): SchemaFinding[] {
  const byPath = new Map<string, SchemaFinding>();
  for (const [path, message] of found) {
    const key = path.join('/');
    if (!byPath.has(key)) byPath.set(key, { path, message });
  }
  return [...byPath.values()];
}

/** Lists the keywords of a schema that JSON Schema does not know, and which have no effect. */
export function unknownKeywords(params: Schema): { keyword: string; message: string }[] {
  const told: string[] = [];
  const ajv = new Ajv2020({
    ...options,
    strictSchema: 'log',
    validateFormats: false,
    logger: { ...silent, warn: (text: string) => void told.push(text) },
  });
  ajv.compile(params);
  const known = Object.keys(ajv.RULES.keywords);
  return told.flatMap((text) => {
    const [, keyword] = /unknown keyword: "([^"]+)"/.exec(text) ?? [];
    if (keyword === undefined) return [];
    const meant = didYouMean(keyword, known);
    return [{ keyword, message: `JSON Schema has no such keyword${meant}; it has no effect` }];
  });
}
