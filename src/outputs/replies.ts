import { z } from 'zod';
import { timeSchema } from '../http/times.js';

/** A file or folder that a job produced. */
export const outputReplySchema = z
  .strictObject({
    output_id: z.string(),
    job_id: z.int(),
    experiment_id: z.string(),
    path: z.string().describe('Relative to the job’s folder; `.` means the whole folder.'),
    kind: z.enum(['file', 'folder']),
    type: z.string().nullable(),
    size: z.int().describe('Bytes; for a folder, the sum of its files.'),
    sha256: z.string().nullable().describe('Null for a folder.'),
    metadata: z.record(z.string(), z.unknown()),
    created_at: timeSchema,
    download_url: z.string(),
  })
  .meta({ id: 'Output' });
export type OutputView = z.infer<typeof outputReplySchema>;

const indexingSchema = z
  .boolean()
  .describe('True if the time to wait is over and the outputs are still being indexed: ask again.');

export const experimentOutputsReplySchema = z.strictObject({
  experiment_id: z.string(),
  outputs: z.array(outputReplySchema),
  indexing: indexingSchema,
});

export const jobOutputsReplySchema = z.strictObject({
  job_id: z.int(),
  experiment_id: z.string(),
  source: z
    .enum(['manifest', 'extensions'])
    .nullable()
    .describe('How the outputs were found; null until the job has ended.'),
  indexed_at: timeSchema.nullable(),
  outputs: z.array(outputReplySchema),
  warnings: z.array(z.string()),
  indexing: indexingSchema,
});
export type JobOutputsView = z.infer<typeof jobOutputsReplySchema>;
