import { z } from 'zod';
import { timeSchema } from '../http/times.js';

/** A dataset as callers see it. */
export const datasetReplySchema = z
  .strictObject({
    sha256: z.string(),
    name: z.string(),
    format: z.string().describe('Format of the uploaded file, such as `tar.gz`.'),
    size: z.int().describe('Bytes of the uploaded file.'),
    files: z.int(),
    bytes: z.int().describe('Bytes of all files in it.'),
    source: z.string().describe('Origin: `upload`, `put`, or the URI of the import.'),
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
  created: z.boolean().describe('False if the dataset was stored already.'),
  waited_seconds: z.number().describe('Time it waited for the unpacking of other archives.'),
});

export const existsReplySchema = z.strictObject({ exists: z.boolean(), sha256: z.string() });

const fileReplySchema = z.strictObject({
  path: z.string(),
  size: z.int(),
  link: z.string().optional().describe('Target of a link.'),
});

export const filesReplySchema = z.strictObject({
  files: z.array(fileReplySchema),
  next: z.string().optional().describe('Give it as `after` for the next page; absent on the last.'),
});

export const verifyReplySchema = z.strictObject({
  ok: z.boolean(),
  problem: z.string().optional().describe('The damage in words.'),
  ...datasetReplySchema.shape,
});

export const removedReplySchema = z.strictObject({
  deleted: z.literal(true),
  sha256: z.string(),
  ended_jobs: z
    .int()
    .describe('Ended jobs that name the dataset; a rerun of one needs it uploaded again.'),
  job_ids: z.array(z.int()).describe('The newest of these jobs, at most 20.'),
});
