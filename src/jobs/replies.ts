import { z } from 'zod';
import { nextBeforeSchema } from '../http/pages.js';
import { jobOutputsReplySchema } from '../outputs/replies.js';
import { jobStates } from './job.js';
import { jobReplySchema, requestReplySchema } from './job-view.js';

export const jobsReplySchema = z.strictObject({
  jobs: z.array(jobReplySchema),
  next_before: nextBeforeSchema,
});

const dryRunReplySchema = z
  .strictObject({
    dry_run: z.literal(true),
    request: requestReplySchema.describe('With its defaults.'),
    script: z.string().describe('As Slurm would get it.'),
  })
  .meta({ id: 'DryRun' });

export const submittedReplySchema = z.union([jobReplySchema, dryRunReplySchema]);

/** A job with its outputs. */
export const resultReplySchema = z.strictObject({
  ...jobReplySchema.shape,
  ...jobOutputsReplySchema.shape,
});

/** A job that runs, or is to run, in GNU screen. */
const screenReplySchema = z.strictObject({
  job_id: z.int(),
  unix_user: z.string().describe('The Unix user of the session.'),
  name: z.string().nullable().describe('Null until the job runs.'),
  state: z.enum(jobStates),
  gpus: z.array(z.int()),
});

export const screensReplySchema = z.strictObject({ screens: z.array(screenReplySchema) });
