import type { GpuFleet } from '../../cluster/gpus/choose.js';
import type { Template } from '../templates/template.js';
import type { JobId, JobRequest } from '../job.js';

/** Everything that a job's script is made of. Folders and files are absolute paths. */
export interface ScriptParts {
  jobId: JobId;
  experimentId: string;
  request: JobRequest;
  /** Variables of every job; the job's own `env` goes before them. */
  commonEnv: Readonly<Record<string, string>>;
  template: Template;
  dataset: { treeDir: string; originalPath: string } | undefined;
  outputDir: string;
  /** Holds the job's log, and files that the script keeps while it runs. */
  logDir: string;
  scriptPath: string | undefined;
  /** Folder of the sockets of that user's GNU screen sessions. */
  screenDir: string;
  fleet: GpuFleet;
  /**
   * A worker's file about its own GPUs, which the job reads there; undefined where no worker may
   * join.
   */
  nodeFile?: string | undefined;
  /** Undefined in a cluster of our own. */
  external?: ExternalScript | undefined;
  /** The Unix user that the job runs as; undefined on an external cluster. */
  account?: JobAccount | undefined;
}

/** The user that a job runs as. */
export interface JobAccount {
  user: string;
  /** Absolute path. */
  home: string;
  /** Variables that the caller's do not override. */
  environment: Record<string, string>;
}

/** Facts about the external cluster on whose nodes the script runs. */
export interface ExternalScript {
  /** Touched at the script's end, on the shared file system. */
  jobEndedFile: string;
  /**
   * Whether the script opens the job's outputs to their group, through which the API reads them.
   */
  sharesByGroup: boolean;
}
