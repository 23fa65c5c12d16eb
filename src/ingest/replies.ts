import { z } from 'zod';
import { timeSchema } from '../http/times.js';

const issueReplySchema = z.strictObject({
  at: timeSchema,
  where: z
    .string()
    .nullable()
    .describe('The project, file or job; null for the source as a whole.'),
  message: z.string(),
});

/** Status of an ingest source. */
export const sourceReplySchema = z
  .strictObject({
    name: z.string(),
    worker: z
      .string()
      .nullable()
      .describe('The name it claims under; null where no other server claims.'),
    paused: z.strictObject({ by: z.string(), at: timeSchema }).nullable(),
    interval_seconds: z.number().describe('Seconds between the starts of two scans.'),
    max_jobs: z
      .number()
      .nullable()
      .describe('Maximum of jobs taken and not ended; null for no limit.'),
    last_scan: timeSchema.nullable(),
    last_scan_seconds: z.number().nullable(),
    last_error: z.strictObject({ at: timeSchema, message: z.string() }).nullable(),
    errors: z.array(issueReplySchema).describe('Failures that are retried, newest first.'),
    error_count: z.int().describe('Errors and new problems since the start.'),
    problems: z.array(issueReplySchema).describe('Problems found by the last scan.'),
    problem_count: z.int(),
    found: z.int().describe('Claimable jobs found by the last scan.'),
    claimed: z.int().describe('Claimed by this server and not running.'),
    running: z.int(),
    done: z.int().describe('Ended and reported, whether the job completed or failed.'),
    failed: z.int().describe('Reported as impossible to submit.'),
    lost: z.int().describe('Taken over by another server, or removed.'),
  })
  .meta({ id: 'IngestSource' });
export type IngestSourceView = z.infer<typeof sourceReplySchema>;

export const sourcesReplySchema = z.strictObject({ sources: z.array(sourceReplySchema) });

/** Status of the jobs file. */
export const jobsFileReplySchema = z.strictObject({
  path: z.string(),
  present: z.boolean(),
  lines: z.int(),
  submitted: z.int(),
  unfinished_line: z
    .int()
    .nullable()
    .describe('Number of the last line while its line end is missing.'),
  problems: z.array(
    z.strictObject({
      line: z.int().nullable().describe('From 1; null for the file as a whole.'),
      message: z.string(),
    }),
  ),
  problem_count: z.int(),
  last_scan: timeSchema.nullable(),
});
export type JobsFileView = z.infer<typeof jobsFileReplySchema>;
