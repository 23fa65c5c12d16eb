import type { Response } from 'express';
import { z } from 'zod';
import type { ErrorCode } from '../errors.js';
import { nodeEnv } from '../node-env.js';
import type { Endpoint, Role } from './api.js';

/** Whether replies are held against what their endpoint says of them. In production that costs nothing. */
export const checksReplies = nodeEnv === 'test';

/** @throws Error when an answer is not what its endpoint promises. */
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

/** Remembers which errors the endpoint says it may answer with. */
export function declareErrors(res: Response, spec: Endpoint): void {
  res.locals['declaredErrors'] = errorsOf(spec);
}

/** Whether an error is one that its endpoint declares; those outside any endpoint are. */
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

/** Every reason for which the endpoint may fail, but for our own faults. */
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
