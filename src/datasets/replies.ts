import { z } from 'zod';
import { timeSchema } from '../http/times.js';

/** A dataset as callers see it. */
export const datasetReplySchema = z
  .strictObject({
    sha256: z.string(),
    name: z.string(),
    format: z.string().describe('Of the file that was sent, such as `tar.gz`.'),
    size: z.int().describe('Bytes of the file that was sent.'),
    files: z.int(),
    bytes: z.int().describe('Bytes of all files in it.'),
    source: z.string().describe('How it came: `upload`, `put`, or the place it was imported from.'),
    owner: z.string(),
    corrupt: z.boolean().describe('Whether its stored bytes are damaged.'),
    created_at: timeSchema,
    verified_at: timeSchema,
  })
  .meta({ id: 'Dataset' });
export type DatasetView = z.infer<typeof datasetReplySchema>;

export const datasetsReplySchema = z.strictObject({ datasets: z.array(datasetReplySchema) });

export const keptReplySchema = z.strictObject({
  ...datasetReplySchema.shape,
  created: z.boolean().describe('False where it was there already.'),
});

export const existsReplySchema = z.strictObject({ exists: z.boolean(), sha256: z.string() });

const fileReplySchema = z.strictObject({
  path: z.string(),
  size: z.int(),
  link: z.string().optional().describe('Where it points, for a link.'),
});

export const filesReplySchema = z.strictObject({
  files: z.array(fileReplySchema),
  next: z.string().optional().describe('Give it as `after` for the next page; absent on the last.'),
});

export const verifyReplySchema = z.strictObject({
  ok: z.boolean(),
  problem: z.string().optional().describe('What is damaged.'),
  ...datasetReplySchema.shape,
});

export const removedReplySchema = z.strictObject({ deleted: z.literal(true), sha256: z.string() });
