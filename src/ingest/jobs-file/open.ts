import * as jobStore from '../../jobs/store.js';
import type { IngestContext } from '../open-source.js';
import { Pauses } from '../pauses.js';
import { JobsFile } from './jobs-file.js';
import { ProcessedLines } from './processed-lines.js';
import { JOBS_FILE, JobsFileSource } from './source.js';

/** Opens the jobs file, which every service has. */
export function openJobsFile(context: IngestContext): JobsFileSource {
  const { config, layout, db, jobs, models, gpuCount, now, log, onClose } = context;
  const { path, seconds, screen } = config.jobsFile;
  const pauses = new Pauses(db, now);
  const processed = new ProcessedLines(db, path, layout.root, now);
  const jobsFile = new JobsFile({
    path,
    seconds,
    screen,
    jobs,
    models,
    gpuCount,
    processed,
    isPaused: () => pauses.of(JOBS_FILE) !== undefined,
    now,
    log,
  });
  onClose(() => jobsFile.close());
  jobsFile.start();
  return new JobsFileSource({
    jobsFile,
    processed,
    seconds,
    pauses,
    countStates: (ids) => jobStore.countStates(db, ids),
  });
}
