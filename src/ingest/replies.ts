import { z } from 'zod';
import { timeSchema } from '../http/times.js';

const issueReplySchema = z.strictObject({
  at: timeSchema,
  where: z.string().nullable().describe('The project, file or job; null for the route as a whole.'),
  message: z.string(),
});

/** How an ingest source stands. */
export const sourceReplySchema = z
  .strictObject({
    name: z.string(),
    worker: z.string().nullable().describe('As which it claims; null where nobody else could.'),
    paused: z.strictObject({ by: z.string(), at: timeSchema }).nullable(),
    interval_seconds: z.number().describe('Between the starts of two scans.'),
    max_jobs: z.number().nullable().describe('Taken and not ended, at most; null for no limit.'),
    last_scan: timeSchema.nullable(),
    last_scan_seconds: z.number().nullable(),
    last_error: z.strictObject({ at: timeSchema, message: z.string() }).nullable(),
    errors: z.array(issueReplySchema).describe('Failures that are tried again, newest first.'),
    error_count: z.int().describe('Errors and new problems since the start.'),
    problems: z.array(issueReplySchema).describe('What the last scan found wrong.'),
    problem_count: z.int(),
    found: z.int().describe('What the last scan found that may be claimed.'),
    claimed: z.int().describe('Ours, and not running.'),
    running: z.int(),
    done: z.int().describe('Reported, however the job ended.'),
    failed: z.int().describe('Reported, since it could not become a job.'),
    lost: z.int().describe('Taken over by another, or taken away.'),
  })
  .meta({ id: 'IngestSource' });
export type IngestSourceView = z.infer<typeof sourceReplySchema>;

export const sourcesReplySchema = z.strictObject({ routes: z.array(sourceReplySchema) });

/** What became of the jobs file's lines. */
export const jobsFileReplySchema = z.strictObject({
  path: z.string(),
  present: z.boolean(),
  lines: z.int(),
  submitted: z.int(),
  unfinished_line: z.int().nullable().describe('The last line, while its end is not written yet.'),
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
