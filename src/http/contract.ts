import type { Response } from 'express';
import { z } from 'zod';
import type { ErrorCode } from '../errors.js';
import { nodeEnv } from '../node-env.js';
import type { Endpoint, Role } from './api.js';

/**
 * Whether replies are checked against their endpoint's schema: in tests only, so production pays
 * nothing.
 */
export const checksReplies = nodeEnv === 'test';

/** Checks a reply against its endpoint. @throws Error when it does not fit */
export function checkReply(spec: Endpoint, res: Response, answer: unknown): void {
  const { statuses, content } = spec.reply;
  const name = `${spec.method.toUpperCase()} ${spec.path}`;
  if (content?.schema === undefined) return;
  if (statuses[res.statusCode] === undefined)
    throw new Error(`${name}: the status ${res.statusCode} is not declared`);
  const parsed = content.schema.safeParse(answer);
  if (!parsed.success)
    throw new Error(`${name}: the reply breaks its schema: ${z.prettifyError(parsed.error)}`);
}

/** Records the errors that the endpoint declares. */
export function declareErrors(res: Response, spec: Endpoint): void {
  res.locals['declaredErrors'] = errorsOf(spec);
}

/** Tells whether the endpoint declares this error. Outside any endpoint, every error is allowed. */
export function isDeclared(res: Response, code: ErrorCode): boolean {
  const declared = res.locals['declaredErrors'] as readonly ErrorCode[] | undefined;
  return declared === undefined || declared.includes(code);
}

const ofRole: Record<Role, readonly ErrorCode[]> = {
  public: [],
  reader: ['unauthorized', 'too_many_attempts'],
  user: ['unauthorized', 'forbidden', 'too_many_attempts'],
  admin: ['unauthorized', 'forbidden', 'too_many_attempts'],
  worker: ['unauthorized'],
  form: ['unauthorized', 'forbidden', 'too_many_attempts'],
};

/** Lists the errors that the endpoint may answer with, except internal ones. */
export function errorsOf(spec: Endpoint): ErrorCode[] {
  return [
    ...new Set<ErrorCode>([
      'bad_request',
      ...ofRole[spec.role],
      ...(spec.method === 'get' ? [] : ['disk_full' as const]),
      ...(spec.body === undefined ? [] : ['too_large' as const]),
      ...spec.errors,
    ]),
  ];
}
