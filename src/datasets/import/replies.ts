import { z } from 'zod';
import { nextBeforeSchema } from '../../http/pages.js';
import { timeSchema } from '../../http/times.js';

/** An import as callers see it. Bytes are those of the objects, each counted once. */
export const importReplySchema = z
  .strictObject({
    id: z.int(),
    uri: z.string(),
    state: z.enum(['QUEUED', 'RUNNING', 'COMPLETED', 'FAILED']),
    bytes_done: z.int(),
    bytes_total: z.int().nullable().describe('Null until known.'),
    sha256: z.string().nullable().describe('The dataset, once it is stored.'),
    error: z
      .strictObject({
        code: z.string().describe('As in error replies, or `cancelled` or `interrupted`.'),
        message: z.string(),
      })
      .nullable(),
    created_at: timeSchema,
    ended_at: timeSchema.nullable(),
  })
  .meta({ id: 'Import' });
export type ImportView = z.infer<typeof importReplySchema>;

export const importsReplySchema = z.strictObject({
  imports: z.array(importReplySchema),
  next_before: nextBeforeSchema,
});
