import { z } from 'zod';
import { gigabytes, wholeNumber } from '../kinds.js';

/** Limits on datasets and users. */
export const limitsVariables = {
  JR_MAX_UPLOAD_GB: gigabytes(0).meta({
    description: 'Largest upload or import, in GiB; 0 = the free disk',
  }),
  JR_MAX_EXTRACT_GB: gigabytes(0).meta({
    description: 'Largest unpacked size of an archive, in GiB; 0 = the free disk',
  }),
  JR_MAX_EXTRACT_FILES: wholeNumber(0, 1_000_000_000)
    .default(1_000_000)
    .meta({ description: 'Most files in an archive; 0 = no limit' }),
  JR_USER_MAX_JOBS: wholeNumber(0, 1_000_000)
    .default(0)
    .meta({ description: 'Most queued and running jobs of one user; 0 = no limit' }),
  JR_USER_MAX_RUNNING: wholeNumber(0, 1_000_000)
    .default(0)
    .meta({ description: 'Most running jobs of one user; 0 = no limit' }),
  JR_USER_MAX_GPUS: z
    .string()
    .regex(/^\d{1,5}(\.\d+)?$/, 'expected a number of GPUs such as 2 or 0.5; 0 means no limit')
    .default('0')
    .transform(Number)
    .meta({ description: 'Most GPUs that one user’s jobs use at once; 0 = no limit' }),
  JR_USER_MAX_STORED_GB: gigabytes(0).meta({
    description:
      'Largest total of one user’s datasets and jobs (outputs, logs, scripts), in GiB; 0 = no limit',
  }),
  JR_MAX_LOG_GB: gigabytes(10).meta({
    description: 'Largest log of a job, in GiB; a job that writes more is ended; 0 = no limit',
  }),
  JR_MEASURE_INTERVAL: wholeNumber(1, 3600).default(30).meta({
    description: 'Least seconds between two measures of what a user’s running jobs store',
  }),
};
