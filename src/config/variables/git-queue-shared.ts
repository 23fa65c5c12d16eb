import { z } from 'zod';
import { wholeNumber } from '../kinds.js';

const text = z.string().regex(/^[^\0-\x1f\x7f<>]{1,256}$/, 'expected one line without < and >');

/** Variables of git queues without `JR_` in front, which runners and servers share. */
export const gitQueueSharedSchema = z.object({
  GIT_USER_NAME: text.default('jobrunner'),
  GIT_USER_EMAIL: text.default('jobrunner@localhost'),
  JOBS_QUEUE_FILE: z.string().default('queue.csv'),
  RESULTS_DIR: z.string().default('results'),
  SLEEP_TIME: wholeNumber(0, 86_400).optional(),
  MAX_ATTEMPTS: wholeNumber(0, 1_000_000).default(3),
  MAX_JOB_ATTEMPTS: wholeNumber(1, 1000).default(3),
});

export const gitQueueSharedVariables = Object.keys(gitQueueSharedSchema.shape);
