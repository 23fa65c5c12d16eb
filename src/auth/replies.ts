import { z } from 'zod';
import { nextBeforeSchema } from '../http/pages.js';
import { timeSchema } from '../http/times.js';
import { roleSchema } from './caller.js';

/** A token as admins see it. */
export const tokenReplySchema = z
  .strictObject({
    token_id: z.int(),
    user: z.string(),
    role: roleSchema,
    state: z.enum(['valid', 'expired', 'revoked']),
    created_at: timeSchema,
    created_by: z.string(),
    /** Null for a token that does not expire. */
    expires_at: timeSchema.nullable(),
    revoked_at: timeSchema.nullable(),
    /** Accurate to the minute. */
    last_used_at: timeSchema.nullable(),
  })
  .meta({ id: 'Token' });
export type TokenView = z.infer<typeof tokenReplySchema>;

export const newTokenReplySchema = z.strictObject({
  ...tokenReplySchema.shape,
  token: z.string().describe('The token itself, shown only once.'),
});

export const tokensReplySchema = z.strictObject({ tokens: z.array(tokenReplySchema) });

const limit = z.number().describe('0 means no limit.');

/** Limits of a user. */
export const userLimitsSchema = z.strictObject({
  max_jobs: limit.describe('Queued and running jobs together; 0 means no limit.'),
  max_running: limit.describe('Running jobs; 0 means no limit.'),
  max_gpus: limit.describe('GPUs at once in all running jobs; 0 means no limit.'),
  max_stored_bytes: limit.describe('Bytes of datasets and outputs; 0 means no limit.'),
});
export type UserLimits = z.infer<typeof userLimitsSchema>;

/** A user, with their limits and usage. */
export const userReplySchema = z
  .strictObject({
    user: z.string(),
    unix_user: z
      .string()
      .nullable()
      .describe('The Unix user of their jobs; null before their first job.'),
    limits: userLimitsSchema,
    jobs: z.int(),
    running: z.int(),
    stored_bytes: z.int(),
  })
  .meta({ id: 'User' });
export type UserView = z.infer<typeof userReplySchema>;

export const usersReplySchema = z.strictObject({ users: z.array(userReplySchema) });

export const deletedUserReplySchema = z.strictObject({
  deleted: z.literal(true),
  user: z.string(),
  tokens: z.int().describe('Number of tokens that were deleted with the user.'),
});

export const ownUserReplySchema = z.strictObject({ role: roleSchema, ...userReplySchema.shape });

const auditEntrySchema = z.strictObject({
  audit_id: z.int(),
  at: timeSchema,
  /** Null where no valid token was sent. */
  user: z.string().nullable(),
  token_id: z.int().nullable(),
  address: z.string(),
  method: z.string(),
  path: z.string(),
  status: z.int(),
  subject: z.string().nullable().describe('The thing made or changed, such as "job 12".'),
  times: z.int().describe('Number of equal requests within a few minutes.'),
  last_at: timeSchema,
});

export const auditReplySchema = z.strictObject({
  audit: z.array(auditEntrySchema),
  next_before: nextBeforeSchema,
});
