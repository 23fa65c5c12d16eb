import express, { Router } from 'express';
import multer from 'multer';
import { z } from 'zod';
import { readBody, readParams } from '../http/read-input.js';
import { AppError } from '../errors.js';
import { nameSubject } from './audit.js';
import { adminsOnly, callerOf, roleSchema, userSchema } from './caller.js';
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
  token: tokenSchema.optional(),
  days: wholeNumber.default(30).refine((n) => n >= 0 && n <= 36_500, 'expected 0 (never) to 36500'),
  role: roleSchema.default('user'),
});
const revokeBody = z.strictObject({ token: tokenSchema });
const tokenParams = z.object({
  id: z
    .string()
    .regex(/^[1-9]\d{0,14}$/, 'expected the number of a token')
    .transform(Number),
});
const anyBody = [
  express.json({ limit: '64kb' }),
  express.urlencoded({ extended: false, limit: '64kb' }),
  multer({ limits: { fields: 10, fieldSize: 64 * 1024 } }).none(),
];

/** `/tokens`, for admins. */
export function tokenRoutes(tokens: Tokens): Router {
  const router = Router();
  router.use(adminsOnly);

  router.post('/', ...anyBody, (req, res) => {
    const createdBy = callerOf(res).user;
    const { token, view } = tokens.create({ ...readBody(createBody, req), createdBy });
    nameSubject(res, `token ${view.token_id} of ${view.user}`);
    res
      .status(201)
      .location(`/tokens/${view.token_id}`)
      .json({ ...view, token });
  });

  router.get('/', (_req, res) => {
    res.json({ tokens: tokens.list() });
  });

  router.delete('/:id', (req, res) => {
    const view = tokens.revoke(readParams(tokenParams, req).id);
    nameSubject(res, `token ${view.token_id} of ${view.user}`);
    res.json(view);
  });

  // For who has the token and not its number; never in a path, which is logged.
  router.post('/revoke', ...anyBody, (req, res) => {
    const { token } = readBody(revokeBody, req);
    const holder = tokens.holderOf(token);
    if (holder === undefined) throw new AppError('not_found', 'token: it opens nothing');
    if (holder.tokenId === null)
      throw new AppError('conflict', 'token: JR_AUTH_TOKEN is changed where the stack is started');
    const view = tokens.revoke(holder.tokenId);
    nameSubject(res, `token ${view.token_id} of ${view.user}`);
    res.json(view);
  });
  return router;
}
