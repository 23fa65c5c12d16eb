import { datasets } from './001-datasets.js';
import { jobs } from './002-jobs.js';
import { outputs } from './003-outputs.js';
import { gpus } from './004-gpus.js';
import { jobsFile } from './005-jobs-file.js';
import { users } from './006-users.js';
import { queueApi } from './007-queue-api.js';
import { boxes } from './008-boxes.js';
import { ingest } from './009-ingest.js';
import { auditShares } from './010-audit-shares.js';
import { boxGpus } from './011-box-gpus.js';
import { jobUsers } from './012-job-users.js';
import { jobScripts } from './013-job-scripts.js';
import { workers } from './014-workers.js';
import { jobGpus } from './015-job-gpus.js';
import { ingestSources } from './016-ingest-sources.js';
import { slurmNumbers } from './017-slurm-numbers.js';
import { knownSenders } from './018-known-senders.js';
import { gpuPauses } from './019-gpu-pauses.js';
import { diskUse } from './020-disk-use.js';

/** The migrations in order. A released one is never edited, only followed by another. */
export const migrations: readonly string[] = [
  datasets,
  jobs,
  outputs,
  gpus,
  jobsFile,
  users,
  queueApi,
  boxes,
  ingest,
  auditShares,
  boxGpus,
  jobUsers,
  jobScripts,
  workers,
  jobGpus,
  ingestSources,
  slurmNumbers,
  knownSenders,
  gpuPauses,
  diskUse,
];
