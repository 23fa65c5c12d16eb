import { absolutePath, flag, wholeNumber } from '../kinds.js';

/** Jobs and ingest sources. */
export const jobsVariables = {
  JR_JOBS_FILE: absolutePath.optional().meta({
    shown: '`JR_ROOT/jobs.txt`',
    description: 'File whose appended lines become jobs',
  }),
  JR_JOBS_FILE_INTERVAL: wholeNumber(1, 3600)
    .default(30)
    .meta({ description: 'Seconds within which an appended line becomes a job' }),
  JR_SCREEN: flag('0').meta({
    description: 'Run the jobs of the jobs file inside GNU screen',
  }),
  JR_MAX_ASSIGN_ATTEMPTS: wholeNumber(1, 1000).default(5).meta({
    description:
      'Attempts to submit a job while Slurm’s queue is full, or its node cannot start it',
  }),
  JR_ASSIGN_RETRY_WAIT: wholeNumber(1, 3600)
    .default(5)
    .meta({ description: 'Seconds before the second attempt, doubled for each later one' }),
  JR_JOB_ENV_FILE: absolutePath.optional().meta({
    shown: 'none',
    description: 'File of root’s with `NAME=value` lines: variables of every job, such as proxies',
  }),
  JR_TEMPLATES: absolutePath
    .optional()
    .meta({ shown: 'none', description: 'Folder with job templates of your own' }),
};
