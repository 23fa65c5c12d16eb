import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { AppError, fieldError } from '../../errors.js';
import type { Template } from './template.js';

const options = { allErrors: true, useDefaults: true, coerceTypes: true, strict: false };

/**
 * Validators by command key, kept while the schema is the same: each job reads its template anew.
 */
const validators = new Map<string, { schema: string; validate: ValidateFunction }>();

/**
 * Checks `params` against the template's schema, and fills in its defaults.
 * @throws AppError bad_request naming each parameter; unprocessable when the template's schema is
 *   broken.
 */
export function checkParams(
  template: Template,
  given: Record<string, unknown>,
): Record<string, unknown> {
  const params = structuredClone(given);
  const validate = validatorOf(template);
  if (validate(params)) return params;
  const problems = (validate.errors ?? []).map((error) => {
    const at = ['params', ...error.instancePath.split('/').slice(1)].join('.');
    const { additionalProperty: extra, missingProperty: missing } = error.params as {
      additionalProperty?: string;
      missingProperty?: string;
    };
    if (extra !== undefined)
      return { field: `${at}.${extra.slice(0, 64)}`, text: 'no such parameter' };
    if (missing !== undefined) return { field: `${at}.${missing}`, text: 'is missing' };
    return { field: at, text: error.message };
  });
  const known = Object.keys((template.params['properties'] as object | undefined) ?? {});
  const fields = [...new Set(problems.map(({ field }) => field))];
  const texts = problems.map(({ field, text }) => `${field}: ${text}`);
  throw new AppError('bad_request', texts.join('; '), { details: { fields, parameters: known } });
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
