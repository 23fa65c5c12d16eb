import { openGitQueue } from './git-queue/open.js';
import { openGitLab } from './gitlab/open.js';
import { openJobsFile } from './jobs-file/open.js';
import type { OpenIngestSource } from './open-source.js';

/** Every ingest source, in the order in which the API lists them. */
export const ingestSources: readonly OpenIngestSource[] = [openJobsFile, openGitLab, openGitQueue];
