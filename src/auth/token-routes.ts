import { z } from 'zod';
import { fieldError } from '../errors.js';
import type { Api } from '../http/api.js';
import { endpoint } from '../http/endpoint.js';
import { json } from '../http/reply.js';
import { fields } from '../http/request-body.js';
import { nameSubject } from './audit.js';
import { callerOf, roleSchema, userSchema } from './caller.js';
import { newTokenReplySchema, tokenReplySchema, tokensReplySchema } from './replies.js';
import type { Tokens } from './tokens.js';

const tokenSchema = z
  .string()
  .regex(/^[\x21-\x7e]{8,512}$/, 'expected 8 to 512 printable characters without spaces');
const wholeNumber = z.union(
  [
    z.int(),
    z
      .string()
      .regex(/^\d{1,6}$/)
      .transform(Number),
  ],
  {
    error: 'expected a whole number',
  },
);
const createBody = z.strictObject({
  user: userSchema,
  token: tokenSchema
    .optional()
    .describe('A token of your choice; without it, the service makes one.'),
  days: wholeNumber
    .default(30)
    .refine((n) => n >= 0 && n <= 36_500, 'expected 0 (never) to 36500')
    .describe('Days until it expires; 0 means never.'),
  role: roleSchema.default('user'),
});
const revokeBody = z.strictObject({ token: tokenSchema });
const tokenParams = z.object({
  id: z
    .string()
    .regex(/^[1-9]\d{0,14}$/, 'expected the number of a token')
    .transform(Number),
});

/** Mounts `/tokens`, for admins. */
export function tokenRoutes(api: Api, tokens: Tokens): void {
  endpoint(
    api,
    {
      method: 'post',
      path: '/tokens',
      role: 'admin',
      summary: 'Make a token for a user',
      body: fields(createBody),
      reply: json(
        newTokenReplySchema,
        { 201: 'Made. The token itself is shown this once.' },
        { Location: 'The path of the token.' },
      ),
      errors: ['conflict'],
    },
    ({ body, res }) => {
      const { token, view } = tokens.create({ ...body, createdBy: callerOf(res).user });
      nameSubject(res, `token ${view.token_id} of ${view.user}`);
      res.status(201).location(`/tokens/${view.token_id}`);
      return { ...view, token };
    },
  );

  endpoint(
    api,
    {
      method: 'get',
      path: '/tokens',
      role: 'admin',
      summary: 'List the tokens',
      reply: json(tokensReplySchema),
      errors: [],
    },
    () => ({ tokens: tokens.list() }),
  );

  endpoint(
    api,
    {
      method: 'delete',
      path: '/tokens/{id}',
      role: 'admin',
      summary: 'Revoke a token by its number',
      params: tokenParams,
      reply: json(tokenReplySchema, { 200: 'Revoked.' }),
      errors: ['not_found', 'conflict'],
    },
    ({ params, res }) => {
      const view = tokens.revoke(params.id);
      nameSubject(res, `token ${view.token_id} of ${view.user}`);
      return view;
    },
  );

  // For callers who have the token but not its number; paths are logged, so it stays out of them.
  endpoint(
    api,
    {
      method: 'post',
      path: '/tokens/revoke',
      role: 'admin',
      summary: 'Revoke a token by its text',
      body: fields(revokeBody),
      reply: json(tokenReplySchema, { 200: 'Revoked.' }),
      errors: ['not_found', 'conflict'],
    },
    ({ body, res }) => {
      const holder = tokens.holderOf(body.token);
      if (holder === undefined)
        throw fieldError('not_found', 'token', 'unknown, revoked or expired');
      if (holder.tokenId === null)
        throw fieldError(
          'conflict',
          'token',
          'JR_AUTH_TOKEN is changed where the stack is started',
        );
      const view = tokens.revoke(holder.tokenId);
      nameSubject(res, `token ${view.token_id} of ${view.user}`);
      return view;
    },
  );
}
