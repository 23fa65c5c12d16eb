import { z } from 'zod';

/** Settings that all ingest sources share where several servers claim jobs. */
export const ingestVariables = {
  JR_WORKER_ID: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'expected up to 100 letters, digits and ._-')
    .optional()
    .meta({
      shown: 'the host’s name and eight random digits',
      description: 'Name under which this server claims jobs at GitLab and in git queues',
    }),
  JR_LEASE_MINUTES: z
    .string()
    .regex(/^\d{1,4}(\.\d+)?$/, 'expected a number of minutes such as 15 or 0.5')
    .default('15')
    .transform(Number)
    .refine((n) => n >= 0.05 && n <= 1440, 'expected 0.05 to 1440 minutes')
    .meta({
      description: 'Minutes until a claim of this server expires, unless it is renewed',
    }),
  JR_PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: 'expected an http(s) URL' })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional()
    .meta({
      shown: 'none',
      description:
        'Address at which users reach this API, for links to outputs in reported outcomes',
    }),
};
