import { Ajv2020 } from 'ajv/dist/2020.js';
import { AppError } from '../errors.js';
import type { Template } from './template.js';

const ajv = new Ajv2020({ allErrors: true, useDefaults: true, coerceTypes: true, strict: false });

/**
 * `params` checked against the template's schema, its defaults filled in.
 * @throws AppError bad_request naming each parameter; unprocessable when the template's schema is broken.
 */
export function checkParams(
  template: Template,
  given: Record<string, unknown>,
): Record<string, unknown> {
  const params = structuredClone(given);
  let validate;
  try {
    validate = ajv.compile(template.params);
  } catch (cause) {
    throw new AppError(
      'unprocessable',
      `command_key: the template ${template.commandKey} has a broken parameter schema`,
      { cause },
    );
  }
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
