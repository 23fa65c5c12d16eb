import { z } from 'zod';
import type { JobId } from './job.js';

/** The path of a job. */
export const jobParams = z.object({
  id: z
    .string()
    .regex(/^[1-9]\d{0,14}$/, 'expected a job number such as 1')
    .transform((text) => Number(text) as JobId),
});

/** A whole number in a query. */
export const wholeNumber = (max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'expected a whole number')
    .transform(Number)
    .refine((n) => n <= max, `at most ${max}`);
