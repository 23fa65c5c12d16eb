import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { AppError } from '../../errors.js';
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
    const extra = (error.params as { additionalProperty?: string }).additionalProperty;
    return extra === undefined
      ? `${at}: ${error.message}`
      : `${at}.${extra.slice(0, 64)}: no such parameter`;
  });
  const known = Object.keys((template.params['properties'] as object | undefined) ?? {});
  throw new AppError('bad_request', problems.join('; '), { details: { parameters: known } });
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
    throw new AppError(
      'unprocessable',
      `command_key: the template ${commandKey} has a broken parameter schema`,
      { cause },
    );
  }
}
