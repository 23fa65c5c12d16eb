import { z } from 'zod';
import { flag } from '../kinds.js';

/** The queue server’s API. */
export const queueApiVariables = {
  JR_QUEUE_GPUS: z
    .string()
    .regex(/^(0?\.\d+|0\.\d+|\d{1,2})$/, 'expected a fraction such as 0.5, or a whole number')
    .default('1')
    .transform(Number)
    .meta({
      description:
        'GPUs of each job of the queue server’s API, with their share of CPUs and memory; fewer if the machine has fewer',
    }),
  JR_MAX_TIMEOUT_MULTIPLIER: z
    .string()
    .regex(/^\d{1,4}(\.\d+)?$/, 'expected a number such as 2 or 1.5')
    .default('2')
    .transform(Number)
    .refine((n) => n > 0, 'expected a number above 0')
    .meta({
      description:
        'Multiple of `expected_time` after which a job of the queue server’s API is killed',
    }),
  JR_PUBLIC_STATUS: flag('0').meta({
    description: 'Allow everyone to read the queue server’s API without a token',
  }),
};
