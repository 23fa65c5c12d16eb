/** The interface of this package for programs that `import` it. */
export {
  GitLabAuthenticationError,
  GitLabConnectionError,
  GitLabError,
  GitLabFileExistsError,
  GitLabNotFoundError,
  NoTokenProvidedError,
} from './ingest/gitlab/errors.js';
export {
  GitLabJobScanner,
  type GitLabJobScannerOptions,
  type NewFile,
} from './ingest/gitlab/job-scanner.js';
export type { AvailableJob, ProjectScan, ScannedJob } from './ingest/gitlab/scan-rows.js';
